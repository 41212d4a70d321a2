namespace Vicuna.Managed.Models;

/// <summary>The part that one sequence has in a pass of several.</summary>
/// <param name="Cache">The sequence's keys and values.</param>
/// <param name="Tokens">How many of the pass's tokens are its own, 1 or more; they follow those of the slice before.</param>
/// <param name="Adapters">What its tokens add to the products; null for nothing.</param>
internal readonly record struct SequenceSlice(KvCache Cache, int Tokens, AdapterStack? Adapters = null);
