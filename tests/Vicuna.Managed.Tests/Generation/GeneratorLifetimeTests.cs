using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Memory and threads: alone in the process, because native memory is counted for all of it.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class GeneratorLifetimeTests : IDisposable
{
    private static readonly TinyShape Shape = new() { Hidden = 64, Heads = 4, KeyValueHeads = 2, Intermediate = 172, Vocab = 131, Layers = 3, Context = 200 };

    private readonly TinyModel _tiny = new(Shape);
    private readonly long _before;

    public GeneratorLifetimeTests()
    {
        // What other tests have dropped is not to be counted here.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        _before = AlignedBuffer.AllocatedBytes;
    }

    // Every test here ends with the native memory that it began with.
    public void Dispose() => Assert.Equal(_before, AlignedBuffer.AllocatedBytes);

    [Fact]
    public void EstimateMemory_IsWhatIsAllocated()
    {
        foreach (int threads in new[] { 1, 3 })
        {
            using LanguageModel model = _tiny.Load(new LoadOptions { Threads = threads });
            long weights = _before + TinyModel.Safetensors(_tiny.Tensors).Length;
            MemoryEstimate estimate = model.Info.EstimateMemory(130, sequences: 2, threads);
            Assert.Equal(estimate.WorkBytes, AlignedBuffer.AllocatedBytes - weights);
            using Generator one = model.CreateGenerator();
            using Generator two = model.CreateGenerator();
            one.Append(_tiny.RandomTokens(130));
            two.Append(_tiny.RandomTokens(130));
            Assert.Equal(estimate.WorkBytes + estimate.SequenceBytes, AlignedBuffer.AllocatedBytes - weights);
            Assert.Equal(estimate.WeightBytes + estimate.WorkBytes + estimate.SequenceBytes, estimate.TotalBytes);
        }
    }

    [Fact]
    public void Rewind_FreesPages()
    {
        using LanguageModel model = _tiny.Load();
        using Generator generator = model.CreateGenerator();
        generator.Append([1]);
        long one = AlignedBuffer.AllocatedBytes;
        generator.Append(_tiny.RandomTokens(150));
        Assert.Equal(one + (2 * 64 * model.Info.KeyValueBytesPerToken), AlignedBuffer.AllocatedBytes);
        generator.Rewind(1);
        Assert.Equal(one, AlignedBuffer.AllocatedBytes);
    }

    [Fact]
    public void Next_AllocatesNothing()
    {
        foreach (GenerationOptions options in new[] { new GenerationOptions(), new() { Temperature = 1, TopP = 0.9, RepetitionPenalty = 1.1, Seed = 1 } })
        {
            using LanguageModel model = _tiny.Load();
            using Generator generator = model.CreateGenerator(options);
            generator.Append(_tiny.RandomTokens(66));
            for (int i = 0; i < 20; i++)
            {
                generator.Next();
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 30; i++)
            {
                generator.Next();
            }

            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    [Fact]
    public void Load_ThatFails_KeepsNothing()
    {
        TinyModel badTemplate = new(Shape);
        badTemplate.TextFiles["tokenizer_config.json"] = """{"chat_template": "\ud800"}""";
        _tiny.Tensors.Remove("model.norm.weight");
        foreach (TinyModel bad in new[] { _tiny, badTemplate })
        {
            Assert.Throws<ModelFormatException>(() => bad.Load());
            Assert.Equal(_before, AlignedBuffer.AllocatedBytes);
        }
    }

    [Fact]
    public void Restore_ThatFails_KeepsNothing()
    {
        using LanguageModel model = _tiny.Load();
        using Generator generator = model.CreateGenerator();
        generator.Append(_tiny.RandomTokens(150));
        using MemoryStream saved = new();
        generator.Save(saved);
        long before = AlignedBuffer.AllocatedBytes;
        byte[] bytes = saved.ToArray();
        bytes[^1] ^= 1;
        Assert.Throws<ModelFormatException>(() => generator.Restore(new MemoryStream(bytes)));
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        generator.Restore(new MemoryStream(saved.ToArray()));
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
    }

    [Fact]
    public async Task SecondCall_WhileOneIsUnderWay_IsRefused()
    {
        using LanguageModel model = _tiny.Load();
        using Generator generator = model.CreateGenerator();
        generator.Append([1, 2]);
        using BlockingTap tap = new();
        generator.Tap = tap;
        Task append = Task.Run(() => generator.Append([3]), TestContext.Current.CancellationToken);
        tap.WaitUntilReached();
        using MemoryStream stream = new();
        foreach (Action second in new Action[]
        {
            () => generator.Next(), () => generator.Append([4]), () => generator.GetLogits(), () => generator.Rewind(0), () => generator.Save(stream),
            () => generator.Restore(stream),
        })
        {
            Assert.Contains("one thread at a time", Assert.Throws<InvalidOperationException>(second).Message);
        }

        tap.Release();
        await append;
        Assert.Equal([1, 2, 3], generator.Tokens);
    }

    [Fact]
    public async Task Dispose_WhileAnotherThreadGenerates_FreesWhenThatCallEnds()
    {
        using LanguageModel model = _tiny.Load();
        long before = AlignedBuffer.AllocatedBytes;
        Generator generator = model.CreateGenerator();
        using BlockingTap tap = new();
        generator.Tap = tap;
        Task append = Task.Run(() => generator.Append([3]), TestContext.Current.CancellationToken);
        tap.WaitUntilReached();
        generator.Dispose();
        Assert.Throws<ObjectDisposedException>(() => generator.Next());
        Assert.NotEqual(before, AlignedBuffer.AllocatedBytes);
        tap.Release();
        await append;
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        Assert.Throws<ObjectDisposedException>(() => generator.Append([1]));
        generator.Dispose();
    }

    [Fact]
    public async Task Dispose_AtAnyMoment_NeverCrashesAndFreesAll()
    {
        using LanguageModel model = _tiny.Load();
        int generated = 0;
        for (int repetition = 0; repetition < 400; repetition++)
        {
            Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 1, Seed = 1 });
            generator.Append([1]);
            using Barrier start = new(2);
            Task<Exception?> worker = Task.Run(
                () =>
                {
                    start.SignalAndWait();
                    return Record.Exception(() =>
                    {
                        for (int i = 0; i < 50; i++)
                        {
                            generator.Next();
                            generated++;
                        }
                    });
                },
                TestContext.Current.CancellationToken);
            start.SignalAndWait();
            Thread.SpinWait(repetition % 40 * 50);
            generator.Dispose();
            Exception? found = await worker;
            Assert.True(found is null or ObjectDisposedException, found?.ToString());
        }

        Assert.True(generated > 0);
    }

    [Fact]
    public async Task Dispose_BetweenShortCalls_AlwaysFreesAll()
    {
        using LanguageModel model = new TinyModel(Shape with { Layers = 1, Context = 2 }).Load();
        long before = AlignedBuffer.AllocatedBytes;
        for (int repetition = 0; repetition < 600; repetition++)
        {
            Generator generator = model.CreateGenerator();
            bool running = false;
            Task worker = Task.Run(() =>
            {
                while (true)
                {
                    generator.Rewind(0);
                    Volatile.Write(ref running, true);
                }
            });
            SpinWait.SpinUntil(() => Volatile.Read(ref running));
            generator.Dispose();
            await Assert.ThrowsAsync<ObjectDisposedException>(() => worker);
            Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        }
    }

    [Fact]
    public async Task ModelDisposed_DuringAPass_EndsItWithObjectDisposed()
    {
        LanguageModel model = _tiny.Load();
        using Generator busy = model.CreateGenerator();
        using Generator idle = model.CreateGenerator();
        idle.Append([1, 2]);
        using BlockingTap tap = new();
        busy.Tap = tap;
        Task append = Task.Run(() => busy.Append([3]), TestContext.Current.CancellationToken);
        tap.WaitUntilReached();
        model.Dispose();
        model.Dispose();
        tap.Release();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => append);
        Assert.Equal(0, busy.Position);
        busy.Tap = null;
        Assert.Throws<ObjectDisposedException>(() => busy.Append([1]));
        Assert.Throws<ObjectDisposedException>(() => idle.Append([1]));
        Assert.Equal([1, 2], idle.Tokens);
        // What needs no weights still works.
        idle.Rewind(1);
        Assert.Throws<ObjectDisposedException>(() => model.CreateGenerator());
        Assert.Throws<ObjectDisposedException>(() => model.Generate(new[] { 1 }));
        Assert.Throws<ObjectDisposedException>(() => model.StreamAsync(new[] { 1 }));
    }

    [Fact]
    public async Task ModelDisposed_AtAnyMoment_NeverCrashesAndFreesAll()
    {
        for (int repetition = 0; repetition < 60; repetition++)
        {
            LanguageModel model = _tiny.Load(new LoadOptions { Threads = 1 + (repetition % 3) });
            Task<Exception?>[] workers = [.. Enumerable.Range(0, 3).Select(worker => Task.Run(
                () => Record.Exception(() => model.Generate(new[] { 1 + worker }, new GenerationOptions { MaxNewTokens = 100 })),
                TestContext.Current.CancellationToken))];
            Thread.SpinWait(repetition * 200);
            model.Dispose();
            foreach (Exception? found in await Task.WhenAll(workers))
            {
                Assert.True(found is null or ObjectDisposedException, found?.ToString());
            }
        }
    }

    [Fact]
    public async Task ManyGenerators_OnOneModel_GiveTheirLoneResults()
    {
        using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 3 });
        GenerationResult[] lone = [.. Enumerable.Range(0, 24).Select(Generate)];
        Assert.True(lone.Select(result => string.Join(',', result.TokenIds)).Distinct().Count() > 20);
        GenerationResult[] together = await Task.WhenAll(Enumerable.Range(0,
            24).Select(i => Task.Run(() => Generate(i), TestContext.Current.CancellationToken)));
        Assert.Equal(lone.Select(result => result.TokenIds), together.Select(result => result.TokenIds));

        GenerationResult Generate(int i) =>
            model.Generate(_tiny.RandomTokens(1 + (i * 5), seed: i), new GenerationOptions { Temperature = i % 2, Seed = i, MaxNewTokens = 25 });
    }

    [Fact]
    public async Task LeavingTheLoopEarly_StopsTheWorkAndFreesTheSequence()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        long before = AlignedBuffer.AllocatedBytes;
        await foreach (GenerationChunk chunk in model.StreamAsync("USER: Hello", new GenerationOptions { MaxNewTokens = 400, IgnoreEndOfSequence = true },
            TestContext.Current.CancellationToken))
        {
            Assert.Null(chunk.Result);
            break;
        }

        // The loop's end has waited for the work's end.
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        using ChatSession chat = model.CreateChat();
        long withChat = AlignedBuffer.AllocatedBytes;
        await foreach (GenerationChunk chunk in chat.SendAsync("What is 3 plus 4?", TestContext.Current.CancellationToken))
        {
            break;
        }

        Assert.Empty(chat.History);
        Assert.True(AlignedBuffer.AllocatedBytes >= withChat);
    }
}
