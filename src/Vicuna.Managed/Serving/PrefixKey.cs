using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>What decides, beside the tokens, what is in a page.</summary>
/// <param name="Stack">What changes the model; null for nothing.</param>
/// <param name="Source">
/// Where pages come from that this process has not computed itself: a session that was read from a file, which is nobody else's business. Null for
/// this process's own.
/// </param>
internal readonly record struct PrefixKey(AdapterStack? Stack, object? Source)
{
    /// <summary>Whether the same is computed.</summary>
    public bool IsSameAs(PrefixKey other) =>
        Source == other.Source && (Stack is null ? other.Stack is null : other.Stack is not null && Stack.IsSameAs(other.Stack));
}
