using Vicuna.Managed.Chat;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Serving;

/// <summary>Answers of many requests at a time, and who may come in when.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class EngineTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private readonly long _live = KvPage.Live;

    public void Dispose() => Assert.Equal(_live, KvPage.Live);

    [Fact]
    public async Task Answers_OfManyRequestsAtOnce_AreThoseOfLoneRuns()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });
        (Prompt Prompt, GenerationOptions Options)[] requests =
        [
            .. PicoVicuna.Questions().Take(40).Select((item, i) => (
                i % 5 == 4 ? Prompt.FromText(item.Question) : Prompt.FromMessages([new ChatMessage(ChatRole.User, item.Question)]),
                i % 3 == 0 ? new GenerationOptions { Temperature = 0, MaxNewTokens = 40 } : new GenerationOptions { Temperature = 0.9, TopP = 0.95, Seed = i, MaxNewTokens = 5 + i, RepetitionPenalty = 1.1 })),
        ];
        GenerationResult[] alone = [.. requests.Select(request => model.Generate(request.Prompt, request.Options))];
        foreach (EngineOptions options in new[]
        {
            new EngineOptions { MaxConcurrentRequests = 8, MaxQueuedRequests = 64 },
            new EngineOptions { MaxConcurrentRequests = 40, MaxQueuedRequests = 0, PrefillChunkTokens = 16 },
            new EngineOptions { MaxConcurrentRequests = 3, MaxQueuedRequests = 64, PrefixCache = false },
            new EngineOptions { MaxConcurrentRequests = 16, MaxQueuedRequests = 64, KeyValueMemoryBytes = 10 * model.Info.KeyValueBytesPerToken * 64 },
        })
        {
            using InferenceEngine engine = new(model, options);
            GenerationResult[] together = await Task.WhenAll(requests.Select(request => engine.GenerateAsync(request.Prompt, request.Options))).WaitAsync(Long, TestContext.Current.CancellationToken);
            for (int i = 0; i < requests.Length; i++)
            {
                Assert.Equal(alone[i].TokenIds, together[i].TokenIds);
                Assert.Equal((alone[i].Text, alone[i].FinishReason, alone[i].PromptTokens), (together[i].Text, together[i].FinishReason, together[i].PromptTokens));
            }

            EngineStatus status = engine.GetStatus();
            Assert.Equal((0, 0, 0L), (status.ActiveRequests, status.QueuedRequests, status.KeyValueBytesActive));
            Assert.Equal(options.PrefixCache, status.TotalCachedTokens > 0);
            Assert.Equal(requests.Length, status.TotalRequests);
        }
    }

    [Fact]
    public async Task Pieces_OfAStream_AreTheAnswer()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model);
        string text = "";
        List<int> ids = [];
        GenerationResult? result = null;
        await foreach (GenerationChunk piece in engine.StreamAsync(Question("What is 3 plus 4?"), Greedy, cancellationToken: TestContext.Current.CancellationToken))
        {
            Assert.Null(result);
            text += piece.Text;
            ids.AddRange(piece.TokenIds);
            result = piece.Result;
        }

        Assert.Equal("Three plus four is seven.", text);
        Assert.Equal((text, FinishReason.EndOfSequence), (result!.Text, result.FinishReason));
        Assert.Equal(result.TokenIds, ids);
    }

    [Fact]
    public async Task NextTurn_OfAConversation_IsNotComputedAgain()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model);
        List<ChatMessage> messages = [];
        int before = 0;
        foreach (string question in new[] { "What is 3 plus 4?", "What color is the sky?", "What does a cow say?" })
        {
            messages.Add(new ChatMessage(ChatRole.User, question));
            GenerationResult alone = model.Generate(messages.ToArray(), Greedy, TestContext.Current.CancellationToken);
            GenerationResult result = await engine.GenerateAsync(messages.ToArray(), Greedy, cancellationToken: TestContext.Current.CancellationToken);
            Assert.Equal(alone.TokenIds, result.TokenIds);
            // All of the last prompt is known, and at least its answer but the last token, which no pass has run.
            Assert.InRange(result.CachedPromptTokens, before, result.PromptTokens - 1);
            before = result.PromptTokens + result.TokenIds.Count - 1;
            messages.Add(new ChatMessage(ChatRole.Assistant, result.Text));
        }

        Assert.True(engine.GetStatus().TotalCachedTokens > before / 2);
    }

    [Fact]
    public async Task Queue_ThatIsFull_RefusesAtOnceAndTakesAgainLater()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1, MaxQueuedRequests = 2 });
        InferenceRequest[] taken = [.. await Task.WhenAll(Enumerable.Range(0, 3).Select(i => engine.SubmitAsync(tiny.RandomTokens(8, i), Endless)))];
        EngineOverloadedException refused = await Assert.ThrowsAsync<EngineOverloadedException>(() => engine.SubmitAsync(tiny.RandomTokens(8), Endless));
        Assert.Equal(OverloadReason.QueueFull, refused.Reason);
        Assert.True(refused.RetryAfter >= TimeSpan.FromSeconds(1));
        Assert.Contains(" 1 and 2", refused.Message, StringComparison.Ordinal);
        await taken[2].DisposeAsync();
        await using InferenceRequest again = await engine.SubmitAsync(tiny.RandomTokens(8), Endless);
        Assert.Equal(1, engine.GetStatus().TotalRejected);
        await Task.WhenAll(taken.Select(request => request.DisposeAsync().AsTask()));
    }

    [Fact]
    public async Task Priority_OfWaitingRequests_DecidesWhoIsNext()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1, MaxQueuedRequests = 10 });
        await using InferenceRequest running = await engine.SubmitAsync(tiny.RandomTokens(8), Endless);
        await running.Started.WaitAsync(Long, TestContext.Current.CancellationToken);
        List<string> order = [];
        List<Task> done = [];
        foreach ((string name, RequestPriority priority) in new[]
        {
            ("low", RequestPriority.Low), ("first", RequestPriority.Normal), ("second", RequestPriority.Normal), ("high", RequestPriority.High),
        })
        {
            InferenceRequest request = await engine.SubmitAsync(tiny.RandomTokens(4), Endless with { MaxNewTokens = 1 }, new RequestOptions { Priority = priority });
            done.Add(Note(request, name));
        }

        running.Cancel();
        await Task.WhenAll(done).WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.Equal(["high", "first", "second", "low"], order);

        async Task Note(InferenceRequest request, string name)
        {
            await request.Completion;
            lock (order)
            {
                order.Add(name);
            }
        }
    }

    [Fact]
    public async Task Cancellation_AnywhereOnTheWay_FreesThePlaceAndLeavesTheOthers()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 2, MaxQueuedRequests = 4 });
        int[] prompt = tiny.RandomTokens(20);
        GenerationResult alone = model.Generate(prompt, Endless with { MaxNewTokens = 30 }, TestContext.Current.CancellationToken);
        Task<GenerationResult> other = engine.GenerateAsync(prompt, Endless with { MaxNewTokens = 30 });

        using CancellationTokenSource inPrompt = new();
        InferenceRequest longPrompt = await engine.SubmitAsync(tiny.RandomTokens(1500), Endless, null, inPrompt.Token);
        using CancellationTokenSource inQueue = new();
        InferenceRequest waiting = await engine.SubmitAsync(tiny.RandomTokens(9), Endless, null, inQueue.Token);
        await inQueue.CancelAsync();
        OperationCanceledException cancelled = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.Completion);
        Assert.Equal(inQueue.Token, cancelled.CancellationToken);

        Assert.False(longPrompt.Started.IsCompleted);
        await inPrompt.CancelAsync();
        await longPrompt.DisposeAsync().AsTask().WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.True(longPrompt.Completion.IsCanceled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await longPrompt.ReadAsync().GetAsyncEnumerator().MoveNextAsync());

        await using (InferenceRequest answering = await engine.SubmitAsync(tiny.RandomTokens(5), Endless))
        {
            await foreach (GenerationChunk _ in answering.ReadAsync(TestContext.Current.CancellationToken))
            {
                break;
            }

            // Leaving the loop has cancelled it.
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering.Completion);
        }

        Assert.Equal(alone.TokenIds, (await other).TokenIds);
        EngineStatus status = engine.GetStatus();
        Assert.Equal((0, 0, 0L, 3L), (status.ActiveRequests, status.QueuedRequests, status.KeyValueBytesActive, status.TotalCancelled));
        using CancellationTokenSource early = new();
        await early.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.SubmitAsync(prompt, Endless, null, early.Token));
    }

    [Fact]
    public async Task TimeLimit_DuringAnAnswer_EndsItWithWhatItHas()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1 });
        int[] prompt = tiny.RandomTokens(4);
        GenerationResult result = await engine.GenerateAsync(prompt, Endless, new RequestOptions { TimeLimit = TimeSpan.FromSeconds(1) });
        Assert.Equal(FinishReason.TimeLimit, result.FinishReason);
        Assert.InRange(result.TokenIds.Count, 1, 2000);
        GenerationResult alone = model.Generate(prompt, Endless with { MaxNewTokens = result.TokenIds.Count }, TestContext.Current.CancellationToken);
        Assert.Equal(alone.TokenIds, result.TokenIds);

        InferenceRequest running = await engine.SubmitAsync(prompt, Endless);
        TimeoutException late = await Assert.ThrowsAsync<TimeoutException>(
            () => engine.GenerateAsync(prompt, Endless, new RequestOptions { TimeLimit = TimeSpan.FromMilliseconds(20) }));
        Assert.Contains("before its first token", late.Message, StringComparison.Ordinal);
        await running.DisposeAsync();
        Assert.Equal(1, engine.GetStatus().TotalFailed);
    }

    // A timer may fire before the request is in the queue.
    [Fact]
    public async Task TimeLimit_OfNothing_FailsItsRequestAndNobodyElse()
    {
        TinyModel tiny = new(new TinyShape());
        using LanguageModel model = tiny.Load();
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 2, MaxQueuedRequests = 500 });
        Task<GenerationResult>[] hurried = [.. Enumerable.Range(0, 300).Select(_ =>
            engine.GenerateAsync(tiny.RandomTokens(4), Endless with { MaxNewTokens = 400 }, new RequestOptions { TimeLimit = TimeSpan.FromTicks(1) }))];
        await Task.WhenAll(hurried.Select(task => task.ContinueWith(_ => { }, TaskScheduler.Default))).WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.All(hurried, task => Assert.True(task.IsCompletedSuccessfully || task.Exception!.InnerException is TimeoutException, task.Exception?.ToString()));
        GenerationResult result = await engine.GenerateAsync(tiny.RandomTokens(4), Endless with { MaxNewTokens = 5 }).WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.Equal(5, result.TokenIds.Count);
        Assert.Equal((0, 0), (engine.GetStatus().ActiveRequests, engine.GetStatus().QueuedRequests));
    }

    [Fact]
    public async Task Prompt_AmongRequestsThatAreCancelled_ComesToItsEnd()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load();
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 3, MaxQueuedRequests = 10, PrefixCache = false });
        Task<GenerationResult> wanted = engine.GenerateAsync(tiny.RandomTokens(300), Endless with { MaxNewTokens = 2 });
        int cancelled = 0;
        while (!wanted.IsCompleted)
        {
            // Each goes as soon as it is in the pass, and takes the pass with it.
            await using InferenceRequest other = await engine.SubmitAsync(tiny.RandomTokens(300, ++cancelled), Endless);
            await Task.WhenAny(Task.Delay(1), wanted);
            other.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => other.Completion.WaitAsync(Long, TestContext.Current.CancellationToken));
        }

        Assert.Equal(2, (await wanted).TokenIds.Count);
    }

    [Fact]
    public async Task QueueTimeout_OfAWaitingRequest_RefusesItAndOnlyIt()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1, QueueTimeout = TimeSpan.FromMilliseconds(50) });
        await using InferenceRequest running = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        await running.Started.WaitAsync(Long, TestContext.Current.CancellationToken);
        InferenceRequest waiting = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        EngineOverloadedException refused = await Assert.ThrowsAsync<EngineOverloadedException>(() => waiting.Started);
        Assert.Equal(OverloadReason.QueueTimeout, refused.Reason);
        await Assert.ThrowsAsync<EngineOverloadedException>(() => waiting.Completion);
        Assert.False(running.Completion.IsCompleted);
    }

    [Fact]
    public async Task Memory_ForKeysAndValues_IsNeverExceededAndEverybodyIsServed()
    {
        TinyModel tiny = new(new TinyShape { Context = 640 });
        using LanguageModel model = tiny.Load();
        long page = model.Info.KeyValueBytesPerToken * 64;
        const int Capacity = 12;
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 16, MaxQueuedRequests = 200, KeyValueMemoryBytes = (Capacity * page) + 5 });
        Assert.Equal((640, Capacity * page), (engine.ContextLength, engine.Options.KeyValueMemoryBytes));
        using CancellationTokenSource watched = new();
        long most = 0;
        Task watch = Task.Factory.StartNew(
            () =>
            {
                while (!watched.IsCancellationRequested)
                {
                    most = Math.Max(most, KvPage.Live - _live);
                    EngineStatus status = engine.GetStatus();
                    Assert.InRange(status.KeyValueBytesActive + status.KeyValueBytesCached, 0, Capacity * page);
                }
            },
            TaskCreationOptions.LongRunning);
        Random random = new(5);
        (int[] Prompt, int Most)[] requests =
        [
            // A few common beginnings, and ends of all lengths; some requests need the whole memory.
            .. Enumerable.Range(0, 150).Select(i => (
                (int[])[.. tiny.RandomTokens(60 + (64 * (i % 3)), i % 4), .. tiny.RandomTokens(1 + random.Next(i % 29 == 0 ? 300 : 60), i)], 1 + random.Next(i % 29 == 0 ? 500 : 90))),
        ];
        GenerationResult[] results = await Task.WhenAll(requests.Select(request => engine.GenerateAsync(request.Prompt, Endless with { MaxNewTokens = request.Most })))
            .WaitAsync(Long, TestContext.Current.CancellationToken);
        await watched.CancelAsync();
        await watch;
        Assert.InRange(most, 5, Capacity);
        Assert.All(results, result => Assert.True(result.FinishReason is FinishReason.MaxNewTokens or FinishReason.ContextFull));
        Assert.Equal(engine.GetStatus().KeyValueBytesCached, (KvPage.Live - _live) * page);
        Assert.True(engine.GetStatus().TotalCachedTokens > 1000);
        for (int i = 0; i < requests.Length; i += 13)
        {
            Assert.Equal(model.Generate(requests[i].Prompt, Endless with { MaxNewTokens = requests[i].Most }, TestContext.Current.CancellationToken).TokenIds, results[i].TokenIds);
        }
    }

    [Fact]
    public async Task Context_IsWhatTheMemoryHolds_WhereThatIsLess()
    {
        TinyModel tiny = new(new TinyShape { Context = 640 });
        using LanguageModel model = tiny.Load();
        long page = model.Info.KeyValueBytesPerToken * 64;
        await using InferenceEngine engine = new(model, new EngineOptions { KeyValueMemoryBytes = 2 * page });
        Assert.Equal(128, engine.ContextLength);
        await Assert.ThrowsAsync<ContextLengthExceededException>(() => engine.GenerateAsync(tiny.RandomTokens(128), Endless));
        GenerationResult result = await engine.GenerateAsync(tiny.RandomTokens(120), Endless);
        Assert.Equal((8, FinishReason.ContextFull), (result.TokenIds.Count, result.FinishReason));
        // The whole memory is taken up by a beginning that is known in part: it must not stand in its own way.
        GenerationResult again = await engine.GenerateAsync((int[])[.. tiny.RandomTokens(120)[..100], 1, 2, 3], Endless).WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.Equal(25, again.TokenIds.Count);
    }

    [Fact]
    public async Task Drain_WithRequestsUnderWay_FinishesThemAndTakesNoMore()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load();
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1 });
        Task<GenerationResult>[] accepted = [.. (await Task.WhenAll(
            Enumerable.Range(0, 2).Select(_ => engine.SubmitAsync(tiny.RandomTokens(4), Endless with { MaxNewTokens = 20 })))).Select(request => request.Completion)];
        Task drained = engine.DrainAsync(TestContext.Current.CancellationToken);
        EngineOverloadedException refused = await Assert.ThrowsAsync<EngineOverloadedException>(() => engine.GenerateAsync(tiny.RandomTokens(4), Endless));
        Assert.Equal(OverloadReason.Draining, refused.Reason);
        Assert.True(engine.GetStatus().IsDraining);
        await drained.WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.All(accepted, task => Assert.Equal(20, task.Result.TokenIds.Count));
        await engine.DrainAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Dispose_WithRequestsUnderWay_EndsThemAll()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel model = tiny.Load(TinyModel.SlowWork);
        InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1 });
        InferenceRequest running = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        InferenceRequest waiting = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        await running.Started.WaitAsync(Long, TestContext.Current.CancellationToken);
        Task draining = engine.DrainAsync(TestContext.Current.CancellationToken);
        engine.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => running.Completion);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting.Completion);
        await draining.WaitAsync(Long, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.SubmitAsync(tiny.RandomTokens(4)));
        await engine.DisposeAsync();
        await running.DisposeAsync();
    }

    [Fact]
    public async Task Model_DisposedUnderTheEngine_FailsItsRequestsAndLeavesNobodyWaiting()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        LanguageModel model = tiny.Load(TinyModel.SlowWork);
        await using InferenceEngine engine = new(model, new EngineOptions { MaxConcurrentRequests = 1 });
        InferenceSession session = engine.CreateSession();
        await engine.GenerateAsync(tiny.RandomTokens(3), Endless with { MaxNewTokens = 1 }, new RequestOptions { Session = session });
        InferenceRequest running = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        InferenceRequest waiting = await engine.SubmitAsync(tiny.RandomTokens(4), Endless);
        await running.Started.WaitAsync(Long, TestContext.Current.CancellationToken);
        model.Dispose();
        await Assert.ThrowsAsync<InvalidOperationException>(() => running.Completion.WaitAsync(Long));
        await Assert.ThrowsAsync<InvalidOperationException>(() => waiting.Completion.WaitAsync(Long));
        Assert.False(engine.GetStatus().IsHealthy);
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => engine.SubmitAsync(tiny.RandomTokens(4)));
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => session.SaveAsync(Stream.Null, TestContext.Current.CancellationToken).WaitAsync(Long));
    }

    [Fact]
    public async Task Logits_ThatAreNoNumbers_FailTheirRequestAlone()
    {
        TinyModel tiny = new(new TinyShape());
        using LanguageModel model = tiny.Load();
        await using InferenceEngine engine = new(model);
        // Every token banned: no logit of this request is finite.
        GenerationOptions impossible = Endless with { LogitBias = Enumerable.Range(0, tiny.Shape.Vocab).ToDictionary(id => id, _ => float.NegativeInfinity) };
        Task<GenerationResult> good = engine.GenerateAsync(tiny.RandomTokens(9), Endless with { MaxNewTokens = 50 });
        Assert.True((await Assert.ThrowsAsync<NonFiniteLogitsException>(() => engine.GenerateAsync(tiny.RandomTokens(5), impossible))).IsEveryTokenBanned);
        Assert.Equal(50, (await good).TokenIds.Count);
        Assert.True(engine.GetStatus().IsHealthy);
    }

    [Fact]
    public async Task Embedding_AmongOtherRequests_IsTheModelsOwn()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        await using InferenceEngine engine = new(model, new EngineOptions { PrefillChunkTokens = 16, MaxQueuedRequests = 50 });
        string[] texts = [.. PicoVicuna.Questions().Take(12).Select((item, i) => string.Join(' ', Enumerable.Repeat(item.Question, 1 + i)))];
        Task<GenerationResult>[] others = [.. texts.Select(text => engine.GenerateAsync(Question(text), Greedy))];
        EmbeddingResult[] vectors = await Task.WhenAll(texts.Select(text => engine.EmbedAsync(text)));
        await Task.WhenAll(others);
        for (int i = 0; i < texts.Length; i++)
        {
            EmbeddingResult alone = model.Embed(texts[i], TestContext.Current.CancellationToken);
            Assert.Equal(alone.Vector, vectors[i].Vector);
            Assert.Equal(alone.PromptTokens, vectors[i].PromptTokens);
        }
    }

    [Theory]
    [InlineData(0, 8, 64)]
    [InlineData(1025, 8, 64)]
    [InlineData(1, -1, 64)]
    [InlineData(1, 1_000_001, 64)]
    [InlineData(1, 8, 15)]
    [InlineData(1, 8, 513)]
    public void Options_OutOfRange_AreRefusedWithTheirName(int concurrent, int queued, int chunk)
    {
        using LanguageModel model = new TinyModel(new TinyShape()).Load();
        ArgumentOutOfRangeException exception = Assert.Throws<ArgumentOutOfRangeException>(
            () => new InferenceEngine(model, new EngineOptions { MaxConcurrentRequests = concurrent, MaxQueuedRequests = queued, PrefillChunkTokens = chunk }));
        Assert.Contains("expected", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_ThatAreWrong_AreRefusedByTheCallItself()
    {
        TinyModel tiny = new(new TinyShape());
        using LanguageModel model = tiny.Load();
        Assert.Throws<ArgumentOutOfRangeException>(() => new InferenceEngine(model, new EngineOptions { KeyValueMemoryBytes = 1000 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new InferenceEngine(model, new EngineOptions { QueueTimeout = TimeSpan.Zero }));
        await using InferenceEngine engine = new(model);
        await using InferenceEngine second = new(model);
        await Assert.ThrowsAsync<ArgumentNullException>(() => engine.SubmitAsync(null!));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => engine.SubmitAsync(new[] { 96 }));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => engine.SubmitAsync(new[] { 1 }, new GenerationOptions { Temperature = -1 }));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => engine.SubmitAsync(new[] { 1 }, null, new RequestOptions { TimeLimit = TimeSpan.Zero }));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => engine.SubmitAsync(new[] { 1 }, null, new RequestOptions { Priority = (RequestPriority)7 }));
        await Assert.ThrowsAsync<ArgumentException>(() => engine.SubmitAsync(new[] { 1 }, null, new RequestOptions { Session = second.CreateSession() }));
        await Assert.ThrowsAsync<ContextLengthExceededException>(() => engine.SubmitAsync(tiny.RandomTokens(320)));
        await Assert.ThrowsAsync<ModelFormatException>(() => engine.SubmitAsync("text"));
        InferenceRequest request = await engine.SubmitAsync(new[] { 1 }, Endless with { MaxNewTokens = 2 });
        _ = request.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Throws<InvalidOperationException>(() => request.ReadAsync(TestContext.Current.CancellationToken));
        await request.Completion;
        EngineStatus status = engine.GetStatus();
        Assert.Equal((1L, 0L, 0L), (status.TotalRequests, status.TotalFailed, status.TotalRejected));
    }

    private static GenerationOptions Greedy => new() { Temperature = 0 };

    private static GenerationOptions Endless => new() { Temperature = 0, IgnoreEndOfSequence = true, MaxNewTokens = 2000 };

    private static Prompt Question(string text) => Prompt.FromMessages([new ChatMessage(ChatRole.User, text)]);
}
