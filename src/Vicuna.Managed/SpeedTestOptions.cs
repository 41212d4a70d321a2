namespace Vicuna.Managed;

/// <summary>What <see cref="SpeedTest"/> runs.</summary>
public sealed record SpeedTestOptions
{
    /// <summary>Tokens of the prompt, 1 or more.</summary>
    public int PromptTokens { get; init; } = 512;

    /// <summary>Tokens that are decoded after it, 1 or more.</summary>
    public int NewTokens { get; init; } = 32;

    /// <summary>Sequences that are decoded together, a token of each in every pass; 1 to the most tokens of a pass. Their prompts run one after another.</summary>
    public int Batch { get; init; } = 1;

    /// <summary>How often all of it is measured, 1 or more; results are medians.</summary>
    public int Repeat { get; init; } = 3;
}
