namespace Vicuna.Managed;

/// <summary>A piece of an answer, as soon as it is certain.</summary>
/// <param name="Text">New text; whole characters only. Text that could begin a stop string comes with a later piece.</param>
/// <param name="TokenIds">Tokens generated since the last piece.</param>
public sealed record GenerationChunk(string Text, IReadOnlyList<int> TokenIds)
{
    /// <summary>The whole answer with its timings: on the last piece; null before it.</summary>
    public GenerationResult? Result { get; init; }

    /// <summary>Log-probabilities of <see cref="TokenIds"/>, one each, where <see cref="GenerationOptions.LogProbabilities"/> asked for them; else null.</summary>
    public IReadOnlyList<TokenLogProbability>? LogProbabilities { get; init; }
}
