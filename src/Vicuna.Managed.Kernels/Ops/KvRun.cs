namespace Vicuna.Managed.Kernels.Ops;

/// <summary>The part that one sequence has in a pass: consecutive tokens, whose rows follow those of the sequence before it.</summary>
/// <param name="Pages">The sequence's pages, with room for the tokens.</param>
/// <param name="Position">Position of the first token.</param>
/// <param name="Tokens">Number of tokens, dimensionless, 1 or more.</param>
internal readonly record struct KvRun(IReadOnlyList<KvPage> Pages, int Position, int Tokens);
