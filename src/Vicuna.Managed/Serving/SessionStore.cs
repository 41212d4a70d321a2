using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>Sessions to streams and back, with the engine's memory of them. For threads that may wait; the scheduler's thread only lends and takes pages.</summary>
internal static class SessionStore
{
    /// <summary>Writes a session.</summary>
    /// <param name="scheduler">Lends the pages that are in memory.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="tokens">The session's tokens.</param>
    /// <param name="key">Where its pages are.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <returns>Positions whose keys and values were written.</returns>
    public static int Save(Scheduler scheduler, Decoder decoder, IReadOnlyList<int> tokens, PrefixKey key, Stream destination)
    {
        try
        {
            using PrefixMatch match = scheduler.Do(pages => pages.Find(tokens, key)).GetAwaiter().GetResult();
            using KvCache cache = new(decoder.CacheShape, tokens.Count);
            cache.ShareFrom(match.Pages, match.Positions);
            SequenceFile.Write(destination, decoder.Fingerprint, new SavedSequence(0, tokens, new bool[tokens.Count]), cache);
            return match.Positions;
        }
        finally
        {
            // A request may have waited for the pages.
            scheduler.Wake();
        }
    }

    /// <summary>Reads a session and gives its memory to the engine, where there is room.</summary>
    /// <param name="scheduler">Takes the pages.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="contextLength">Most tokens.</param>
    /// <param name="key">Where its pages go.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>The session's tokens.</returns>
    public static IReadOnlyList<int> Restore(Scheduler scheduler, Decoder decoder, int contextLength, PrefixKey key, Stream source)
    {
        KvCache cache = new(decoder.CacheShape, contextLength);
        int reserved = 0;
        try
        {
            SavedSequence saved = SequenceFile.Read(source, decoder.Fingerprint, cache, decoder.Config.VocabSize, Reserve);
            scheduler.Do(pages =>
            {
                pages.Keep(saved.Tokens, key, cache, reserved);
                reserved = 0;
                return true;
            }).GetAwaiter().GetResult();
            return saved.Tokens;
        }
        finally
        {
            // First, so that whoever waits for the pages finds them free.
            cache.Dispose();
            int left = reserved;
            if (left > 0)
            {
                _ = scheduler.Do(pages =>
                {
                    pages.Return(left);
                    return true;
                });
            }

            scheduler.Wake();
        }

        bool Reserve(int positions)
        {
            int wanted = PageLedger.PagesOf(positions);
            bool fits = scheduler.Do(pages => pages.TryReserve(wanted)).GetAwaiter().GetResult();
            reserved = fits ? wanted : 0;
            return fits;
        }
    }
}
