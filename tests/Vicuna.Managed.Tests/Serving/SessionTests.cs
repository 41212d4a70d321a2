using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Serving;

/// <summary>Conversations of an engine, saved and restored.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class SessionTests : IDisposable
{
    private static readonly GenerationOptions Options = new() { Temperature = 0, IgnoreEndOfSequence = true, MaxNewTokens = 30 };

    private readonly long _live = KvPage.Live;
    private readonly TinyModel _tiny = new(new TinyShape());

    public void Dispose() => Assert.Equal(_live, KvPage.Live);

    [Theory]
    [InlineData(KeyValueType.F32)]
    [InlineData(KeyValueType.F16)]
    [InlineData(KeyValueType.Q8)]
    public async Task Session_SavedAndRestored_GoesOnWithoutComputingItAgain(KeyValueType type)
    {
        using LanguageModel model = _tiny.Load(new LoadOptions { Threads = 2, KeyValueType = type });
        using MemoryStream saved = new();
        GenerationResult first;
        await using (InferenceEngine engine = new(model))
        {
            InferenceSession session = engine.CreateSession();
            await Assert.ThrowsAsync<InvalidOperationException>(() => session.SaveAsync(saved, TestContext.Current.CancellationToken));
            first = await engine.GenerateAsync(_tiny.RandomTokens(100), Options, new RequestOptions { Session = session });
            Assert.Equal([.. _tiny.RandomTokens(100), .. first.TokenIds], session.Tokens);
            await session.SaveAsync(saved, TestContext.Current.CancellationToken);
        }

        await using InferenceEngine other = new(model);
        saved.Position = 0;
        InferenceSession restored = await other.RestoreSessionAsync(saved, TestContext.Current.CancellationToken);
        Assert.Equal([.. _tiny.RandomTokens(100), .. first.TokenIds], restored.Tokens);
        int[] next = [.. restored.Tokens, 3, 4, 5];
        GenerationResult result = await other.GenerateAsync(next, Options, new RequestOptions { Session = restored });
        // Of 130 tokens the last has never been run.
        Assert.Equal(129, result.CachedPromptTokens);
        Assert.Equal(model.Generate(next, Options, TestContext.Current.CancellationToken).TokenIds, result.TokenIds);
        Assert.Equal(163, restored.Tokens.Count);
        using MemoryStream again = new();
        await restored.SaveAsync(again, TestContext.Current.CancellationToken);
        Assert.True(again.Length > saved.Length);

        // What was read from a file is its session's alone: whoever made the file decides nothing for others.
        Assert.Equal(0, (await other.GenerateAsync(next, Options)).CachedPromptTokens);
    }

    [Fact]
    public async Task Request_ThatNeedsThePagesOfASessionBeingSaved_RunsOnceTheyAreFree()
    {
        using LanguageModel model = _tiny.Load();
        long page = model.Info.KeyValueBytesPerToken * 64;
        await using InferenceEngine engine = new(model, new EngineOptions { KeyValueMemoryBytes = 4 * page });
        InferenceSession session = engine.CreateSession();
        await engine.GenerateAsync(_tiny.RandomTokens(100), Options, new RequestOptions { Session = session });
        using HeldStream disk = new();
        Task saving = session.SaveAsync(disk, TestContext.Current.CancellationToken);
        disk.Reached.WaitOne();
        Task<GenerationResult> wanted = engine.GenerateAsync(_tiny.RandomTokens(200, 9), Options);
        while (engine.GetStatus().QueuedRequests == 0)
        {
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.False(wanted.IsCompleted);
        disk.Go.Set();
        await saving;
        Assert.Equal(30, (await wanted.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken)).TokenIds.Count);
    }

    [Fact]
    public async Task Session_WithoutRoomForItsMemory_IsRestoredAllTheSame()
    {
        using LanguageModel model = _tiny.Load();
        long page = model.Info.KeyValueBytesPerToken * 64;
        using MemoryStream saved = new();
        await using (InferenceEngine engine = new(model))
        {
            InferenceSession session = engine.CreateSession();
            await engine.GenerateAsync(_tiny.RandomTokens(150), Options, new RequestOptions { Session = session });
            await session.SaveAsync(saved, TestContext.Current.CancellationToken);
        }

        TinyModel slow = TinyModel.ForSlowWork();
        using LanguageModel busy = slow.Load(TinyModel.SlowWork);
        Assert.NotEqual(busy.Config, model.Config);
        await using InferenceEngine small = new(model, new EngineOptions { KeyValueMemoryBytes = 3 * page });
        // A request that has all of the memory set aside, and goes on while the session is read.
        await using InferenceRequest running = await small.SubmitAsync(_tiny.RandomTokens(2), Options with { MaxNewTokens = 190 });
        saved.Position = 0;
        InferenceSession restored = await small.RestoreSessionAsync(saved, TestContext.Current.CancellationToken);
        Assert.Equal(180, restored.Tokens.Count);
        await running.Completion;
        int[] next = [.. restored.Tokens, 9];
        GenerationResult result = await small.GenerateAsync(next, Options with { MaxNewTokens = 5 }, new RequestOptions { Session = restored });
        Assert.Equal(model.Generate(next, Options with { MaxNewTokens = 5 }, TestContext.Current.CancellationToken).TokenIds, result.TokenIds);
    }

    [Fact]
    public async Task Restore_OfBadData_FailsAndHoldsNothing()
    {
        using LanguageModel model = _tiny.Load();
        await using InferenceEngine engine = new(model);
        InferenceSession session = engine.CreateSession();
        await engine.GenerateAsync(_tiny.RandomTokens(100), Options, new RequestOptions { Session = session });
        using MemoryStream saved = new();
        await session.SaveAsync(saved, TestContext.Current.CancellationToken);
        byte[] bytes = saved.ToArray();
        EngineStatus before = engine.GetStatus();
        foreach (int length in new[] { 0, 7, 50, 300, 5000, bytes.Length - 1 })
        {
            await Assert.ThrowsAsync<ModelFormatException>(() => engine.RestoreSessionAsync(new MemoryStream(bytes[..length])));
        }

        bytes[bytes.Length / 2] ^= 1;
        await Assert.ThrowsAsync<ModelFormatException>(() => engine.RestoreSessionAsync(new MemoryStream(bytes)));
        using LanguageModel other = new TinyModel(new TinyShape(), seed: 2).Load();
        await using InferenceEngine stranger = new(other);
        await Assert.ThrowsAsync<ModelFormatException>(() => stranger.RestoreSessionAsync(new MemoryStream(saved.ToArray())));
        await engine.GenerateAsync(_tiny.RandomTokens(3), Options with { MaxNewTokens = 1 });
        EngineStatus after = engine.GetStatus();
        Assert.Equal(0, after.KeyValueBytesActive);
        Assert.InRange(after.KeyValueBytesCached - before.KeyValueBytesCached, 0, model.Info.KeyValueBytesPerToken * 64);
    }

    /// <summary>A disk that waits to be told to write.</summary>
    private sealed class HeldStream : MemoryStream
    {
        public ManualResetEvent Reached { get; } = new(false);

        public ManualResetEvent Go { get; } = new(false);

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Hold();
            base.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            Hold();
            base.Write(buffer, offset, count);
        }

        protected override void Dispose(bool disposing)
        {
            Reached.Dispose();
            Go.Dispose();
            base.Dispose(disposing);
        }

        private void Hold()
        {
            Reached.Set();
            Go.WaitOne();
        }
    }
}
