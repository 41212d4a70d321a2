namespace Vicuna.Managed.Models;

/// <summary>The adapters of a sequence, whose changes add up in this order.</summary>
/// <param name="entries">One or more.</param>
internal sealed class AdapterStack(AdapterEntry[] entries)
{
    /// <summary>The adapters.</summary>
    public ReadOnlySpan<AdapterEntry> Entries => entries;

    /// <summary>Whether another stack changes the same by as much, so that their sequences can share a product.</summary>
    public bool IsSameAs(AdapterStack other) => ReferenceEquals(this, other) || Entries.SequenceEqual(other.Entries);
}
