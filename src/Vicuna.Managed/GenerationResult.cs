namespace Vicuna.Managed;

/// <summary>A finished answer.</summary>
/// <param name="Text">The new text, without the prompt and without stop strings.</param>
/// <param name="TokenIds">The new tokens, without the end-of-sequence or stop token. Where a stop string ended the answer, the tokens that formed it are included.</param>
/// <param name="FinishReason">Why it ended.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="PrefillTime">Time from the first token of the prompt to the first logits.</param>
/// <param name="DecodeTime">Time from then to the end.</param>
public sealed record GenerationResult(
    string Text, IReadOnlyList<int> TokenIds, FinishReason FinishReason, int PromptTokens, TimeSpan PrefillTime, TimeSpan DecodeTime)
{
    /// <summary>Tokens of the prompt that were in an engine's memory and were not computed again.</summary>
    public int CachedPromptTokens { get; init; }

    /// <summary>Time that the request waited for its turn in an engine.</summary>
    public TimeSpan QueueTime { get; init; }

    /// <summary>Log-probabilities of <see cref="TokenIds"/>, one each, where <see cref="GenerationOptions.LogProbabilities"/> asked for them; else null.</summary>
    public IReadOnlyList<TokenLogProbability>? LogProbabilities { get; init; }
}
