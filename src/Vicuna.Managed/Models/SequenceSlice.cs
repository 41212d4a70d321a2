namespace Vicuna.Managed.Models;

/// <summary>The part that one sequence has in a pass of several.</summary>
/// <param name="Cache">The sequence's keys and values.</param>
/// <param name="Tokens">How many of the pass's tokens are its own, 1 or more; they follow those of the slice before.</param>
internal readonly record struct SequenceSlice(KvCache Cache, int Tokens);
