namespace Vicuna.Managed.Generation;

/// <summary>The part of a saved sequence that is not keys and values.</summary>
/// <param name="Seed">Key of the random numbers.</param>
/// <param name="Tokens">Token ids.</param>
/// <param name="Generated">For each token whether the model chose it (penalties ask), <c>[tokens]</c>.</param>
internal sealed record SavedSequence(long Seed, IReadOnlyList<int> Tokens, IReadOnlyList<bool> Generated);
