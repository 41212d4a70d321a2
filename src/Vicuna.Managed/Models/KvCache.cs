using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Models;

/// <summary>
/// Keys and values of one sequence, in pages that are added as the sequence grows. Sequences with a common beginning may share its pages; a
/// sequence that goes on writing into a shared page takes a copy of its own first. Not safe for concurrent use, but caches that share
/// pages are independent of each other.
/// </summary>
internal sealed class KvCache(KvShape shape, int capacity) : IDisposable
{
    private readonly List<KvPage> _pages = [];

    /// <summary>Layout of the pages.</summary>
    public KvShape Shape { get; } = shape;

    /// <summary>Most positions that it will ever hold.</summary>
    public int Capacity { get; } = capacity;

    /// <summary>Positions that are complete in all layers.</summary>
    public int Length { get; private set; }

    /// <summary>The pages; the last may hold positions beyond <see cref="Length"/> that are being computed.</summary>
    public IReadOnlyList<KvPage> Pages => _pages;

    /// <summary>Memory that a cache of a length takes: whole pages, in bytes.</summary>
    public static long MemoryBytes(KvShape shape, int positions) =>
        checked((positions + KvShape.PagePositions - 1L) / KvShape.PagePositions * shape.PageBytes);

    /// <summary>Makes room for <paramref name="tokens"/> positions after <see cref="Length"/>, in pages that no other cache holds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The capacity would be exceeded.</exception>
    /// <exception cref="OutOfMemoryException">The system has no memory for another page.</exception>
    public void Reserve(int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)Length + tokens, Capacity, nameof(tokens));
        int writing = Length / KvShape.PagePositions;
        if (tokens > 0 && writing < _pages.Count && _pages[writing].IsShared)
        {
            KvPage shared = _pages[writing];
            _pages[writing] = shared.Copy(Shape);
            shared.Release();
        }

        while (_pages.Count * (long)KvShape.PagePositions < Length + tokens)
        {
            _pages.Add(new KvPage(Shape));
        }
    }

    /// <summary>Counts stored positions as complete: called when all layers have stored them.</summary>
    public void Commit(int tokens) => Length += tokens;

    /// <summary>Takes over the first positions of another cache by sharing its pages. This one must be empty.</summary>
    /// <param name="other">A cache of the same layout.</param>
    /// <param name="positions">Positions to share, up to the other's length.</param>
    /// <exception cref="ArgumentException">The layouts differ, or this cache is not empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The other is shorter, or this one's capacity is.</exception>
    public void ShareFrom(KvCache other, int positions)
    {
        if (other.Shape != Shape || _pages.Count > 0)
        {
            throw new ArgumentException("Pages are shared between an empty cache and one of the same layout.", nameof(other));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(positions);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(positions, Math.Min(other.Length, Capacity));
        for (int i = 0; i * (long)KvShape.PagePositions < positions; i++)
        {
            other._pages[i].AddReference();
            _pages.Add(other._pages[i]);
        }

        Length = positions;
    }

    /// <summary>Begins with positions that are in memory already. This cache must be empty.</summary>
    /// <param name="pages">Pages of the same layout; this cache becomes one more holder of each.</param>
    /// <param name="positions">Positions in them that count, up to the capacity; the last page must be needed for them.</param>
    /// <exception cref="ArgumentException">This cache is not empty, or the pages are more or less than the positions need.</exception>
    public void ShareFrom(IReadOnlyList<KvPage> pages, int positions)
    {
        if (_pages.Count > 0 || positions > Capacity || pages.Count != (positions + KvShape.PagePositions - 1) / KvShape.PagePositions)
        {
            throw new ArgumentException($"Expected an empty cache and the pages of {positions} positions, found {_pages.Count} pages and {pages.Count}.", nameof(pages));
        }

        foreach (KvPage page in pages)
        {
            page.AddReference();
            _pages.Add(page);
        }

        Length = positions;
    }

    /// <summary>Holds another page with the same content in the place of its own.</summary>
    /// <param name="index">Number of the page.</param>
    /// <param name="page">The other one; this cache becomes one more holder of it.</param>
    public void ReplacePage(int index, KvPage page)
    {
        page.AddReference();
        _pages[index].Release();
        _pages[index] = page;
    }

    /// <summary>Forgets positions from <paramref name="length"/> on and lets go of the pages that only they used.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
        int keep = (length + KvShape.PagePositions - 1) / KvShape.PagePositions;
        for (int i = _pages.Count - 1; i >= keep; i--)
        {
            _pages[i].Release();
            _pages.RemoveAt(i);
        }
    }

    /// <summary>Lets go of all pages.</summary>
    public void Dispose() => Truncate(Length = 0);
}
