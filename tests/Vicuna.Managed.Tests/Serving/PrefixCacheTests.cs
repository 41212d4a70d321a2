using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Serving;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Serving;

/// <summary>Pages by their tokens, without a model: a page's first float stands for what is in it.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class PrefixCacheTests : IDisposable
{
    private static readonly KvShape Shape = new(1, 1, 2, KvType.F32);

    private readonly long _live = KvPage.Live;

    public void Dispose() => Assert.Equal(_live, KvPage.Live);

    [Fact]
    public void Find_OfWhatWasAdded_FindsTheLongestBeginning()
    {
        using PrefixCache cache = new();
        int[] tokens = [.. Enumerable.Range(0, 150)];
        Add(cache, tokens, 150);
        Assert.Equal(3, cache.Pages);
        foreach ((int[] wanted, int most, int expected, int pages) in new (int[], int, int, int)[]
        {
            (tokens, 150, 150, 3),
            (tokens, 149, 149, 3),
            ([.. tokens, 7, 7], 200, 150, 3),
            ([.. tokens[..64], 999], 65, 64, 1),
            ([.. tokens[..70], 999, 5], 72, 70, 2),
            ([.. tokens[..10], 999], 11, 10, 1),
            ([5, 6], 2, 0, 0),
            (tokens, 0, 0, 0),
        })
        {
            using PrefixMatch match = cache.Find(wanted, default, most);
            Assert.Equal((expected, pages, expected / 64), (match.Positions, match.Pages.Count, match.WholePages));
        }

        // Others' adapters, or another source, are another tree.
        using PrefixMatch other = cache.Find(tokens, new PrefixKey(null, this), 150);
        Assert.Equal(0, other.Positions);
    }

    [Fact]
    public void Add_OfWhatIsKnown_GivesTheSequenceTheKnownPage()
    {
        using PrefixCache cache = new();
        int[] tokens = [.. Enumerable.Range(0, 130)];
        using KvCache first = Filled(130);
        using KvCache second = Filled(130);
        Assert.Equal(2, cache.Add(tokens, default, first, 128));
        Assert.Equal(2, cache.Add(tokens, default, second, 128));
        Assert.Same(first.Pages[0], second.Pages[0]);
        Assert.Same(first.Pages[1], second.Pages[1]);
        Assert.NotSame(first.Pages[2], second.Pages[2]);
        Assert.Equal((2, _live + 4), (cache.Pages, KvPage.Live));
        // The end of a sequence takes the place of a shorter one that nobody holds.
        Assert.Equal(1, cache.Add(tokens, default, second, 129));
        second.Dispose();
        Assert.Equal(1, cache.Add(tokens, default, first, 130));
        Assert.Equal(3, cache.Pages);
        using PrefixMatch match = cache.Find(tokens, default, 130);
        Assert.Equal(130, match.Positions);
        Assert.Same(first.Pages[2], match.Pages[2]);
    }

    [Fact]
    public void Evict_TakesWhatWasNotUsedForTheLongestTimeAndNobodyHolds()
    {
        using PrefixCache cache = new();
        int[] a = [.. Enumerable.Repeat(1, 128)];
        int[] b = [.. Enumerable.Repeat(2, 128)];
        int[] c = [.. Enumerable.Repeat(1, 64), .. Enumerable.Repeat(3, 64)];
        Add(cache, a, 128);
        Add(cache, b, 128);
        Add(cache, c, 128);
        Assert.Equal(5, cache.Pages);
        using (PrefixMatch held = cache.Find(b, default, 128))
        {
            cache.Find(a, default, 128).Dispose();
            Assert.False(cache.TryEvict(4));
            Assert.Equal(5, cache.Pages);
            Assert.True(cache.TryEvict(1));
            Assert.Equal((64, 128), (Length(cache, c), Length(cache, a)));
            Assert.True(cache.TryEvict(2));
            Assert.Equal((0, 128), (Length(cache, a), Length(cache, b)));
        }

        cache.EvictAll();
        Assert.Equal((0, _live), (cache.Pages, KvPage.Live));
    }

    [Fact]
    public void Cache_UnderRandomUse_CountsItsPagesAndFindsWhatASearchFinds()
    {
        Random random = new(11);
        using PrefixCache cache = new();
        List<(int[] Tokens, KvCache Cache)> running = [];
        List<int[]> added = [];
        for (int step = 0; step < 3000; step++)
        {
            int[] tokens = RandomTokens();
            switch (random.Next(4))
            {
                case 0:
                    using (PrefixMatch match = cache.Find(tokens, default, tokens.Length))
                    {
                        KvCache sequence = new(Shape, 1000);
                        sequence.ShareFrom(match.Pages, match.Positions);
                        // Never more than what has been added with it; what is found is what the tokens stand for.
                        Assert.True(match.Positions == 0 || added.Exists(known => known.AsSpan().CommonPrefixLength(tokens) >= match.Positions));
                        Check(sequence, tokens, match.Positions);
                        Extend(sequence, tokens);
                        running.Add((tokens, sequence));
                    }

                    break;
                case 1 when running.Count > 0:
                    (int[] known, KvCache end) = running[random.Next(running.Count)];
                    bool isEnd = random.Next(2) == 0;
                    cache.Add(known, default, end, isEnd ? end.Length : end.Length / 64 * 64);
                    added.Add(known);
                    Check(end, known, end.Length);
                    if (isEnd)
                    {
                        running.Remove((known, end));
                        end.Dispose();
                    }

                    break;
                case 2:
                    int before = cache.Pages;
                    int wanted = random.Next(6);
                    Assert.Equal(cache.TryEvict(wanted) ? before - wanted : before, cache.Pages);
                    break;
                default:
                    break;
            }

            long pages = running.SelectMany(sequence => sequence.Cache.Pages).Distinct().Count();
            Assert.InRange(KvPage.Live - _live, Math.Max(pages, cache.Pages), pages + cache.Pages);
        }

        running.ForEach(sequence => sequence.Cache.Dispose());
        Assert.Equal(cache.Pages, KvPage.Live - _live);
        Assert.True(added.Count > 500);

        // Few different tokens at the pages' beginnings, so that paths meet and part in many places.
        int[] RandomTokens()
        {
            int[] tokens = new int[1 + random.Next(260)];
            for (int i = 0; i < tokens.Length; i++)
            {
                tokens[i] = i % 31 == 0 ? random.Next(2) : 5;
            }

            return tokens;
        }
    }

    private static int Length(PrefixCache cache, int[] tokens)
    {
        using PrefixMatch match = cache.Find(tokens, default, tokens.Length);
        return match.Positions;
    }

    private static void Add(PrefixCache cache, int[] tokens, int positions)
    {
        using KvCache sequence = Filled(positions);
        cache.Add(tokens, default, sequence, positions);
    }

    private static KvCache Filled(int positions)
    {
        KvCache cache = new(Shape, 1000);
        cache.Reserve(positions);
        cache.Commit(positions);
        return cache;
    }

    // Writes a number for the tokens up to each position, as attention would store what follows from them.
    private static void Extend(KvCache cache, int[] tokens)
    {
        int from = cache.Length;
        cache.Reserve(tokens.Length - from);
        for (int i = from; i < tokens.Length; i++)
        {
            Values(cache, i)[i % 64] = Sign(tokens, i);
        }

        cache.Commit(tokens.Length - from);
    }

    private static void Check(KvCache cache, int[] tokens, int positions)
    {
        for (int i = 0; i < positions; i++)
        {
            Assert.Equal(Sign(tokens, i), Values(cache, i)[i % 64]);
        }
    }

    private static float Sign(int[] tokens, int position)
    {
        HashCode hash = default;
        foreach (int token in tokens.AsSpan(0, position + 1))
        {
            hash.Add(token);
        }

        return hash.ToHashCode() & 0xFFFFF;
    }

    private static Span<float> Values(KvCache cache, int position) =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(cache.Pages[position / 64].Run(Shape.KeyOffset(0, 0), Shape));
}
