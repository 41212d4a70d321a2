namespace Vicuna.Managed.Compression.Scores;

/// <summary>What a file of block scores says.</summary>
/// <param name="ArePerplexities">Whether the scores are perplexities of the model without each block.</param>
/// <param name="Blocks">The blocks' scores, in the order of the blocks.</param>
/// <param name="Weights">Scores of single weights, in the order of the file.</param>
internal sealed record ScoreTable(bool ArePerplexities, IReadOnlyList<double> Blocks, IReadOnlyList<KeyValuePair<string, double>> Weights)
{
    /// <summary>Most blocks of a model.</summary>
    public const int MaxBlocks = 1 << 14;

    /// <summary>Samples that perplexities were measured on, where that is known.</summary>
    public int? Samples { get; init; }

    /// <summary>Parameters of the model less one block, where that is known.</summary>
    public long? ParametersWithoutOne { get; init; }
}
