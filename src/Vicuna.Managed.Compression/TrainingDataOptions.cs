namespace Vicuna.Managed.Compression;

/// <summary>How a file becomes samples.</summary>
public sealed record TrainingDataOptions
{
    /// <summary>What the file holds; used by <see cref="TrainingData.Load"/> alone.</summary>
    public TrainingDataKind Kind { get; init; } = TrainingDataKind.Auto;

    /// <summary>Most tokens of a sample, the beginning-of-sequence id included, 2 or more: what is longer is cut off.</summary>
    public int CutoffTokens { get; init; } = 256;

    /// <summary>Whether records that are damaged are left out and counted, instead of ending the reading.</summary>
    public bool SkipBroken { get; init; }
}
