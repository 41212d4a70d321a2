namespace Vicuna.Managed.Models;

/// <summary>Which blocks of a model go and which stay; the ones that stay are numbered anew, in order.</summary>
internal sealed class BlockCut
{
    private const string Prefix = "model.layers.";

    // New numbers by old ones; -1 for a block that goes.
    private readonly int[] _numbers;

    /// <summary>Decides.</summary>
    /// <param name="removed">Numbers of the blocks that go, in any order.</param>
    /// <param name="blocks">Blocks of the model.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such block.</exception>
    /// <exception cref="ArgumentException">A block stands twice in the list, or none would be left.</exception>
    public BlockCut(IReadOnlyCollection<int> removed, int blocks)
    {
        _numbers = new int[blocks];
        foreach (int block in removed)
        {
            if (block < 0 || block >= blocks)
            {
                throw new ArgumentOutOfRangeException(nameof(removed), $"Removed blocks: expected numbers from 0 to {blocks - 1}, found {block}.");
            }

            if (_numbers[block] < 0)
            {
                throw new ArgumentException($"Removed blocks: expected every block once, found {block} twice.", nameof(removed));
            }

            _numbers[block] = -1;
        }

        int next = 0;
        for (int block = 0; block < blocks; block++)
        {
            _numbers[block] = _numbers[block] < 0 ? -1 : next++;
        }

        Removed = [.. removed.Order()];
        Kept = [.. Enumerable.Range(0, blocks).Where(block => _numbers[block] >= 0)];
        if (Kept.Count == 0)
        {
            throw new ArgumentException($"Removed blocks: expected at least one of {blocks} blocks to stay, found none.", nameof(removed));
        }
    }

    /// <summary>The blocks that go, ascending.</summary>
    public IReadOnlyList<int> Removed { get; }

    /// <summary>The blocks that stay, ascending, by their old numbers.</summary>
    public IReadOnlyList<int> Kept { get; }

    /// <summary>The name that a tensor has after the cut, or null where it goes; what belongs to no block keeps its name.</summary>
    /// <param name="tensor">A name in Hugging Face's scheme.</param>
    public string? Rename(string tensor)
    {
        if (!tensor.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return tensor;
        }

        ReadOnlySpan<char> rest = tensor.AsSpan(Prefix.Length);
        int dot = rest.IndexOf('.');

        // A number in the one spelling that the model's names have; a block beyond the model's belongs to nothing.
        if (dot < 1 || rest[..dot].ContainsAnyExceptInRange('0', '9') || (dot > 1 && rest[0] == '0')
            || !int.TryParse(rest[..dot], out int block) || block >= _numbers.Length)
        {
            return tensor;
        }

        return _numbers[block] < 0 ? null : $"{Prefix}{_numbers[block]}{rest[dot..]}";
    }
}
