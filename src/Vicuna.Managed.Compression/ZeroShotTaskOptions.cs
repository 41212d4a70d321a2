namespace Vicuna.Managed.Compression;

/// <summary>How a task's file is read.</summary>
public sealed record ZeroShotTaskOptions
{
    /// <summary>Whose form the lines have. Default: told by the first line.</summary>
    public ZeroShotTaskKind Kind { get; init; }

    /// <summary>Most items, 1 or more: the first ones of the file. Default: all.</summary>
    public int? Limit { get; init; }

    /// <summary>
    /// False (the default): a line that is not of the form ends the reading. True: it is left out and counted in <see cref="ZeroShotTask.BrokenLines"/>.
    /// </summary>
    public bool SkipBroken { get; init; }
}
