namespace Vicuna.Managed.Compression;

/// <summary>What kind of vocabulary <see cref="BpeTrainer"/> makes.</summary>
public sealed record BpeTrainerOptions
{
    /// <summary>
    /// Number of pieces in all: 3 control pieces, 256 bytes, the characters, and what is left for merged pieces. At most 1,000,000.
    /// </summary>
    public int Pieces { get; init; } = 1024;

    /// <summary>Whether every digit is a piece of its own, so that numbers are spelled one way. Otherwise digits merge with digits.</summary>
    public bool SplitDigits { get; init; } = true;

    /// <summary>
    /// Share of the texts' characters that get pieces of their own, the most frequent first: more than 0, at most 1. Others are spelled in bytes.
    /// </summary>
    public double CharacterCoverage { get; init; } = 1;

    /// <summary>Most characters of a merged piece, the space in front included: 2 to 1000.</summary>
    public int MaxPieceLength { get; init; } = 16;

    /// <summary>Whether every text gets a space in front, as Llama's vocabulary has it.</summary>
    public bool AddDummyPrefix { get; init; } = true;
}
