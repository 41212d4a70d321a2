using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>
/// Who may have how many pages of keys and values. A running request has all that it may ever need set aside from the beginning, so that none
/// runs out of memory half-way; what is set aside and what the prefix cache holds are never more than the capacity together. A page that a request has
/// from the prefix cache, or gives to it, is counted there, once. For the scheduler's thread, but for the numbers.
/// </summary>
/// <param name="capacity">Pages there may be.</param>
/// <param name="shares">Whether requests share pages.</param>
internal sealed class PageLedger(int capacity, bool shares) : IDisposable
{
    private readonly PrefixCache _cache = new();
    private int _reserved;

    // Both numbers in one, for other threads: at no moment do they see a sum that never was.
    private long _published;

    /// <summary>Pages there may be.</summary>
    public int Capacity => capacity;

    /// <summary>Pages set aside for running requests alone, and pages of the prefix cache. For any thread.</summary>
    public (int Reserved, int Cached) InUse
    {
        get
        {
            long published = Volatile.Read(ref _published);
            return ((int)(published >> 32), (int)published);
        }
    }

    /// <summary>Pages that a number of positions take.</summary>
    public static int PagesOf(int positions) => (positions + KvShape.PagePositions - 1) / KvShape.PagePositions;

    /// <summary>Sets aside what a request may need, beyond what is known of its prompt.</summary>
    /// <returns>What is known of its prompt, which the caller disposes; null where there is no room now.</returns>
    public PrefixMatch? TryReserve(ServedRequest request)
    {
        int pages = PagesOf(request.MaxPositions);
        // The last token is run in any case, for its logits.
        PrefixMatch match = shares && request.UsesPrefixCache
            ? _cache.Find(request.PromptIds, request.Key, request.PromptIds.Count - 1)
            : new PrefixMatch([], 0);
        while (!TryMakeRoom(pages - match.WholePages))
        {
            if (match.Positions == 0)
            {
                match.Dispose();
                return null;
            }

            // The page that is known in part is copied, so it is in memory twice; and in the end the whole beginning can be computed anew.
            int whole = match.WholePages * KvShape.PagePositions;
            match.Truncate(match.Positions > whole ? whole : 0);
        }

        request.OwnPages = pages - match.WholePages;
        _reserved += request.OwnPages;
        Publish();
        return match;
    }

    /// <summary>Gives back what is set aside for a request.</summary>
    public void Return(ServedRequest request)
    {
        _reserved -= request.OwnPages;
        request.OwnPages = 0;
        Publish();
    }

    /// <summary>Sets aside pages for something that is no request.</summary>
    /// <returns>Whether there is room.</returns>
    public bool TryReserve(int pages)
    {
        bool fits = TryMakeRoom(pages);
        _reserved += fits ? pages : 0;
        Publish();
        return fits;
    }

    /// <summary>Gives back such pages.</summary>
    public void Return(int pages)
    {
        _reserved -= pages;
        Publish();
    }

    /// <summary>
    /// Takes over what others have found out about a request's prompt since it began: of several that came at a time with one beginning, one computes it.
    /// </summary>
    /// <returns>Tokens that need not be computed any more.</returns>
    public int Extend(ServedRequest request)
    {
        KvCache cache = request.Sequence.Cache;
        if (!shares || !request.UsesPrefixCache || cache.Length % KvShape.PagePositions != 0)
        {
            return 0;
        }

        using PrefixMatch match = _cache.Find(request.PromptIds, request.Key, request.PromptIds.Count - 1);
        int gained = match.Positions - cache.Length;
        if (gained <= 0)
        {
            return 0;
        }

        // What it has computed of the beginning itself is known too, so it is let go of.
        cache.Truncate(0);
        cache.ShareFrom(match.Pages, match.Positions);
        int own = PagesOf(request.MaxPositions) - match.WholePages;
        _reserved += own - request.OwnPages;
        request.OwnPages = own;
        Publish();
        return gained;
    }

    /// <summary>Lets others begin with a request's prompt, as far as it fills pages.</summary>
    public void SharePrompt(ServedRequest request) =>
        Share(request, Math.Min(request.PromptIds.Count, request.Sequence.Cache.Length) / KvShape.PagePositions * KvShape.PagePositions);

    /// <summary>Keeps all that a request has computed, at its end.</summary>
    public void Share(ServedRequest request) => Share(request, request.Sequence.Cache.Length);

    /// <summary>Keeps the pages of a sequence that is no request, for which <see cref="TryReserve(int)"/> has set them aside.</summary>
    public void Keep(IReadOnlyList<int> tokens, PrefixKey key, KvCache cache, int reserved)
    {
        if (shares)
        {
            _cache.Add(tokens, key, cache, cache.Length);
        }

        Return(reserved);
    }

    /// <summary>What is known of a sequence.</summary>
    public PrefixMatch Find(IReadOnlyList<int> tokens, PrefixKey key) => _cache.Find(tokens, key, tokens.Count);

    /// <summary>Lets go of what no request needs.</summary>
    public void Clear()
    {
        _cache.EvictAll();
        Publish();
    }

    /// <summary>Lets go of everything.</summary>
    public void Dispose()
    {
        _cache.Dispose();
        Publish();
    }

    private void Share(ServedRequest request, int positions)
    {
        if (!shares || !request.UsesPrefixCache)
        {
            return;
        }

        int taken = _cache.Add(request.Sequence.Tokens, request.Key, request.Sequence.Cache, positions);
        request.OwnPages -= taken;
        _reserved -= taken;
        Publish();
    }

    private bool TryMakeRoom(int pages) => _cache.TryEvict(pages - (capacity - _reserved - _cache.Pages));

    private void Publish() => Volatile.Write(ref _published, ((long)_reserved << 32) | (uint)_cache.Pages);
}
