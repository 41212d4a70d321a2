namespace Vicuna.Managed.Sampling;

/// <summary>Resolved, validated sampling parameters.</summary>
internal sealed record SamplingSettings
{
    /// <summary>0 = greedy, else the divisor of the logits, dimensionless.</summary>
    public double Temperature { get; init; }

    /// <summary>Candidates kept, 0 = all.</summary>
    public int TopK { get; init; }

    /// <summary>Probability mass kept, dimensionless, (0, 1].</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Least probability relative to the best candidate's, dimensionless, [0, 1].</summary>
    public double MinP { get; init; }

    /// <summary>Divisor of positive and factor of negative logits of tokens that have occurred, dimensionless, 1 = off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted once from the logit of a generated token that has occurred, in logits.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Subtracted from a logit for every time that the token was generated, in logits.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of some tokens, by id, in logits. A list: walking through a dictionary's interface allocates.</summary>
    public IReadOnlyList<KeyValuePair<int, float>> LogitBias { get; init; } = [];

    /// <summary>Key of the random numbers.</summary>
    public long Seed { get; init; }
}
