namespace Vicuna.Managed.Constraints;

/// <summary>What can be said of the next token from a place in a rule alone, whatever has called the rule.</summary>
/// <param name="Tokens">Tokens that stay within the rule and what it calls, as bits <c>[V / 64]</c>.</param>
/// <param name="Exits">Nodes of the tree of pieces at which the rule may end, so that what comes behind them is the callers' business.</param>
internal sealed record MaskRegion(ulong[] Tokens, int[] Exits);
