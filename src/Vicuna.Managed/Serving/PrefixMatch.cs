using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Serving;

/// <summary>The known beginning of a sequence. Holds its pages until it is disposed.</summary>
/// <param name="pages">The pages, each held once more for this.</param>
/// <param name="positions">Positions that are known; the last page may hold more.</param>
internal sealed class PrefixMatch(List<KvPage> pages, int positions) : IDisposable
{
    /// <summary>The pages.</summary>
    public IReadOnlyList<KvPage> Pages => pages;

    /// <summary>Positions that are known.</summary>
    public int Positions { get; private set; } = positions;

    /// <summary>Pages that are known from their first position to their last: those that a sequence shares for good.</summary>
    public int WholePages => Positions / KvShape.PagePositions;

    /// <summary>Lets go of positions from a number on, and of the pages that only they need.</summary>
    public void Truncate(int length)
    {
        Positions = Math.Min(Positions, length);
        int keep = (Positions + KvShape.PagePositions - 1) / KvShape.PagePositions;
        for (int i = pages.Count - 1; i >= keep; i--)
        {
            pages[i].Release();
            pages.RemoveAt(i);
        }
    }

    /// <summary>Lets go of all pages.</summary>
    public void Dispose() => Truncate(0);
}
