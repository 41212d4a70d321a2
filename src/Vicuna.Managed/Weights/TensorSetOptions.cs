namespace Vicuna.Managed.Weights;

/// <summary>How <see cref="TensorSet"/> opens files.</summary>
internal sealed record TensorSetOptions
{
    /// <summary>
    /// False (the default) maps the files: nothing is copied, but a file that is cut short while it is mapped ends the process.
    /// True copies them into memory, which takes their size once more and is immune to that.
    /// </summary>
    public bool Resident { get; init; }

    /// <summary>Whether the system is asked for large pages where files are copied into memory.</summary>
    public bool HugePages { get; init; }

    /// <summary>
    /// True (the default) follows symbolic links, as which the hub's caches store every file. False refuses files that are links: for
    /// servers that load folders which others can write to. The folder itself may be a link in both cases.
    /// </summary>
    public bool AllowSymlinks { get; init; } = true;

    /// <summary>Called with a file's name, the bytes opened so far and the bytes of all files; from the thread that opens them.</summary>
    public Action<string, long, long>? Progress { get; init; }
}
