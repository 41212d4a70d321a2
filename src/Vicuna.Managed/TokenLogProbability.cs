namespace Vicuna.Managed;

/// <summary>
/// How likely the model held a token to be: of its own distribution, before bias, penalties, temperature, constraints and the choice of candidates.
/// </summary>
/// <param name="TokenId">The token.</param>
/// <param name="LogProbability">Natural logarithm of its probability, 0 or less.</param>
public sealed record TokenLogProbability(int TokenId, double LogProbability)
{
    /// <summary>The likeliest tokens at this place, the likeliest first, as many as were asked for; empty where none were.</summary>
    public IReadOnlyList<TokenLogProbability> Top { get; init; } = [];
}
