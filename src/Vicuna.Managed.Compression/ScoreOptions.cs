namespace Vicuna.Managed.Compression;

/// <summary>How <see cref="BlockScorer"/> works.</summary>
public sealed record ScoreOptions
{
    /// <summary>
    /// A file that keeps what is finished, block by block; a call that finds it goes on from there. It is deleted when all is done. Null keeps nothing.
    /// Taylor's holds 4 bytes per token and element of the residual stream.
    /// </summary>
    public string? ProgressFile { get; init; }
}
