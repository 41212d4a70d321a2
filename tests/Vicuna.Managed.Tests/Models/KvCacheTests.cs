using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Models;

/// <summary>Pages that caches share: who writes has a page alone, and the last to let go frees it.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class KvCacheTests : IDisposable
{
    private const int Page = KvShape.PagePositions;

    private static readonly KvShape Shape = new(2, 2, 6, KvType.Q8);

    private readonly long _live = KvPage.Live;

    // Every test here ends with the pages that it began with.
    public void Dispose() => Assert.Equal(_live, KvPage.Live);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(64, 1)]
    [InlineData(65, 2)]
    [InlineData(129, 3)]
    public void ShareFrom_TakesNoMemoryUntilSomeoneWrites(int positions, int pages)
    {
        using KvCache original = Filled(130, 1);
        long before = KvPage.Live;
        using KvCache shared = new(Shape, 1000);
        shared.ShareFrom(original, positions);
        Assert.Equal((positions, pages, before), (shared.Length, shared.Pages.Count, KvPage.Live));
        for (int i = 0; i < pages; i++)
        {
            Assert.Same(original.Pages[i], shared.Pages[i]);
        }

        byte[] expected = Content(original, positions);
        Append(shared, 3, 7);
        // Of what is shared only a page that is written to is copied.
        int copied = positions % Page == 0 ? 0 : 1;
        Assert.Equal(before + copied + (shared.Pages.Count - pages), KvPage.Live);
        Assert.Equal(expected, Content(original, positions));
        Assert.Equal(expected, Content(shared, positions));
    }

    [Fact]
    public void Writing_IntoASharedPage_FromEitherSide_LeavesTheOther()
    {
        foreach (bool originalWrites in new[] { true, false })
        {
            using KvCache original = Filled(100, 1);
            using KvCache shared = new(Shape, 1000);
            shared.ShareFrom(original, 100);
            byte[] before = Content(original, 100);
            KvCache writer = originalWrites ? original : shared;
            KvCache other = originalWrites ? shared : original;
            writer.Truncate(70);
            Append(writer, 40, 9);
            Assert.Equal(before, Content(other, 100));
            Assert.NotEqual(before, Content(writer, 100));
            Assert.Equal(Content(other, 70), Content(writer, 70));
            Assert.Same(original.Pages[0], shared.Pages[0]);
            Assert.NotSame(original.Pages[1], shared.Pages[1]);
        }
    }

    [Fact]
    public void Owner_ThatLeavesFirst_LeavesThePagesToTheOthers()
    {
        KvCache original = Filled(150, 1);
        byte[] content = Content(original, 150);
        using KvCache second = new(Shape, 150);
        using KvCache third = new(Shape, 150);
        second.ShareFrom(original, 150);
        third.ShareFrom(second, 80);
        original.Dispose();
        original.Dispose();
        Assert.Equal(content, Content(second, 150));
        second.Truncate(0);
        Assert.Equal(_live + 2, KvPage.Live);
        Assert.Equal(content.AsSpan(0, 10).ToArray(), Content(third, 80).AsSpan(0, 10).ToArray());
        // Alone by now: writing copies nothing.
        KvPage last = third.Pages[1];
        Append(third, 1, 3);
        Assert.Same(last, third.Pages[1]);
    }

    [Fact]
    public void Caches_ThatShare_MayBeUsedOnManyThreadsAtATime()
    {
        for (int repetition = 0; repetition < 50; repetition++)
        {
            KvCache original = Filled(100, repetition);
            KvCache[] all = [original, .. Enumerable.Range(0, 7).Select(_ =>
            {
                KvCache cache = new(Shape, 200);
                cache.ShareFrom(original, 100);
                return cache;
            })];
            byte[] expected = Content(original, 100);
            using Barrier start = new(all.Length);
            Task<byte[]>[] tasks = [.. all.Select((cache, i) => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait();
                    Append(cache, 20, i);
                    byte[] found = Content(cache, 100);
                    cache.Dispose();
                    return found;
                },
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default))];
            Assert.All(tasks, task => Assert.Equal(expected, task.Result));
            Assert.Equal(_live, KvPage.Live);
        }
    }

    [Fact]
    public void ShareFrom_WhereItCannotBe_IsRefused()
    {
        using KvCache original = Filled(100, 1);
        using KvCache other = new(Shape with { Type = KvType.F16 }, 1000);
        Assert.Throws<ArgumentException>(() => other.ShareFrom(original, 10));
        using KvCache small = new(Shape, 50);
        Assert.Throws<ArgumentOutOfRangeException>(() => small.ShareFrom(original, 51));
        Assert.Throws<ArgumentOutOfRangeException>(() => small.ShareFrom(original, -1));
        using KvCache used = Filled(1, 1);
        Assert.Throws<ArgumentException>(() => used.ShareFrom(original, 10));
        using KvCache empty = new(Shape, 1000);
        Assert.Throws<ArgumentOutOfRangeException>(() => empty.ShareFrom(original, 101));
        Assert.Throws<ArgumentOutOfRangeException>(() => small.Reserve(51));
        Assert.Equal((0, 0), (small.Length, small.Pages.Count));
    }

    private static KvCache Filled(int positions, int seed)
    {
        KvCache cache = new(Shape, 1000);
        Append(cache, positions, seed);
        return cache;
    }

    // Fills the rest of the pages with random bytes, which is what a pass may do with what lies beyond the length.
    private static void Append(KvCache cache, int positions, int seed)
    {
        cache.Reserve(positions);
        Random random = new(seed);
        for (int position = cache.Length; position < cache.Length + positions; position++)
        {
            for (int run = 0; run < Shape.Layers * 2 * Shape.KeyValueHeads; run++)
            {
                Span<byte> bytes = cache.Pages[position / Page].Run((long)run * Shape.RunBytes, Shape);
                bytes[(Page * sizeof(float)) + (position % Page)] = (byte)random.Next(256);
            }
        }

        cache.Commit(positions);
    }

    private static byte[] Content(KvCache cache, int positions)
    {
        List<byte> content = [];
        for (int position = 0; position < positions; position++)
        {
            for (int run = 0; run < Shape.Layers * 2 * Shape.KeyValueHeads; run++)
            {
                content.Add(cache.Pages[position / Page].Run((long)run * Shape.RunBytes, Shape)[(Page * sizeof(float)) + (position % Page)]);
            }
        }

        return [.. content];
    }
}
