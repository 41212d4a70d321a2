namespace Vicuna.Managed.Compression;

/// <summary>What a model made of an item.</summary>
/// <param name="LogProbabilities">For each choice the sum of its tokens' log-probabilities given all before, in nats.</param>
/// <param name="Choice">The choice with the largest sum, the first of equals, counted from 0.</param>
/// <param name="ChoiceNormalized">The choice with the largest sum divided by its characters, the first of equals; one of none is never chosen.</param>
/// <param name="Answer">The right choice.</param>
public sealed record ZeroShotScore(IReadOnlyList<double> LogProbabilities, int Choice, int ChoiceNormalized, int Answer);
