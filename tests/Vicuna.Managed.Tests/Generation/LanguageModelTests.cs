using System.Diagnostics;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

public sealed class LanguageModelTests : IDisposable
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0 };

    private readonly LanguageModel _model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 2 });

    private static Prompt Question => Prompt.FromMessages([new ChatMessage(ChatRole.User, "What color is the sky?")]);

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData(0, "What color is the sky?", true)]
    [InlineData(1, "What color is the sky?", true)]
    [InlineData(1.5, "The sky", false)]
    [InlineData(3, "Bäume 你好", false)]
    public async Task AllWaysToGenerate_Agree(double temperature, string text, bool isTurn)
    {
        Prompt prompt = isTurn ? Prompt.FromMessages([new ChatMessage(ChatRole.User, text)]) : text;
        GenerationOptions options = new() { Temperature = temperature, TopP = 1, Seed = 11, MaxNewTokens = 60, IgnoreEndOfSequence = temperature > 2 };
        GenerationResult expected = _model.Generate(prompt, options);
        GenerationResult later = await _model.GenerateAsync(prompt, options);
        List<GenerationChunk> pieces = await Collect(_model.StreamAsync(prompt, options));
        Assert.Equal((expected.Text, expected.FinishReason, expected.PromptTokens), (later.Text, later.FinishReason, later.PromptTokens));
        Assert.Equal(expected.TokenIds, later.TokenIds);
        Assert.Equal(expected.Text, string.Concat(pieces.Select(piece => piece.Text)));
        Assert.Equal(expected.TokenIds, pieces.SelectMany(piece => piece.TokenIds));
        GenerationResult streamed = Assert.Single(pieces, piece => piece.Result is not null).Result!;
        Assert.Same(pieces[^1].Result, streamed);
        Assert.Equal(expected.Text, streamed.Text);
        Assert.Equal(expected.TokenIds, streamed.TokenIds);
        Assert.Equal(_model.Encode(prompt).Count, streamed.PromptTokens);
        Assert.True(streamed.PrefillTime > TimeSpan.Zero && streamed.DecodeTime > TimeSpan.Zero);
    }

    [Fact]
    public async Task StopStrings_AtEveryPlaceOfAnAnswer_NeverLeak()
    {
        string answer = _model.Generate(Question, Greedy).Text;
        Assert.True(answer.Length > 10, answer);
        int cases = 0;
        for (int start = 0; start < answer.Length; start++)
        {
            foreach (int length in new[] { 1, 2, 3, 5, answer.Length - start })
            {
                string stop = answer.Substring(start, Math.Min(length, answer.Length - start));
                List<GenerationChunk> pieces = await Collect(_model.StreamAsync(Question, Greedy with { StopStrings = ["never there", stop] }));
                string expected = answer[..answer.IndexOf(stop, StringComparison.Ordinal)];
                Assert.Equal(expected, string.Concat(pieces.Select(piece => piece.Text)));
                GenerationResult result = pieces[^1].Result!;
                Assert.Equal((expected, FinishReason.StopString), (result.Text, result.FinishReason));
                Assert.Equal(result.TokenIds, pieces.SelectMany(piece => piece.TokenIds));
                cases++;
            }
        }

        Assert.True(cases > 50);
    }

    [Fact]
    public void StopStrings_ThatOnlyBegin_HoldNothingBackInTheEnd()
    {
        string answer = _model.Generate(Question, Greedy).Text;
        GenerationResult result = _model.Generate(Question, Greedy with { StopStrings = [answer + "!", answer[^1] + "never"] });
        Assert.Equal((answer, FinishReason.EndOfSequence), (result.Text, result.FinishReason));
    }

    [Fact]
    public void StopTokens_EndTheAnswerAndAreNoPartOfIt()
    {
        IReadOnlyList<int> ids = _model.Generate(Question, Greedy).TokenIds;
        GenerationResult result = _model.Generate(Question, Greedy with { StopTokens = [ids[3], 5] });
        int end = ids.ToList().IndexOf(ids[3]);
        Assert.Equal(ids.Take(end), result.TokenIds);
        Assert.Equal(FinishReason.EndOfSequence, result.FinishReason);
        Assert.DoesNotContain(_model.Tokenizer.EosId!.Value, ids);
    }

    [Fact]
    public void MaxNewTokens_IsExact()
    {
        IReadOnlyList<int> ids = _model.Generate(Question, Greedy).TokenIds;
        foreach (int most in new[] { 1, 2, ids.Count - 1, ids.Count })
        {
            GenerationResult result = _model.Generate(Question, Greedy with { MaxNewTokens = most });
            Assert.Equal((most, FinishReason.MaxNewTokens), (result.TokenIds.Count, result.FinishReason));
            Assert.Equal(ids.Take(most), result.TokenIds);
        }

        Assert.Equal(FinishReason.EndOfSequence, _model.Generate(Question, Greedy with { MaxNewTokens = ids.Count + 1 }).FinishReason);
        Assert.True(_model.Generate(Question, Greedy with { MaxNewTokens = ids.Count + 9, IgnoreEndOfSequence = true }).TokenIds.Count == ids.Count + 9);
    }

    [Fact]
    public void Context_ThatFillsUp_EndsTheAnswer_AndAPromptThatFillsItIsRefused()
    {
        int prompt = _model.Encode(Question).Count;
        foreach (int room in new[] { 1, 2, 5 })
        {
            using LanguageModel small = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1, ContextLength = prompt + room });
            GenerationResult result = small.Generate(Question, Greedy with { IgnoreEndOfSequence = true });
            Assert.Equal((room, FinishReason.ContextFull), (result.TokenIds.Count, result.FinishReason));
        }

        using LanguageModel full = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1, ContextLength = prompt });
        ContextLengthExceededException found = Assert.Throws<ContextLengthExceededException>(() => full.Generate(Question, Greedy));
        Assert.Equal((prompt, prompt), (found.Tokens, found.ContextLength));
    }

    [Fact]
    public async Task Cancelled_BeforeTheStart_DoesNothing()
    {
        CancellationToken cancelled = new(canceled: true);
        Assert.ThrowsAny<OperationCanceledException>(() => _model.Generate(Question, Greedy, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _model.GenerateAsync(Question, Greedy, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Collect(_model.StreamAsync(Question, Greedy, cancelled)));
    }

    [Fact]
    public async Task Cancelled_DuringThePrompt_StopsSoon()
    {
        TinyModel tiny = TinyModel.ForSlowWork();
        using LanguageModel slow = tiny.Load(TinyModel.SlowWork);
        Prompt prompt = tiny.RandomTokens(2000);
        foreach (int way in new[] { 0, 1, 2 })
        {
            using CancellationTokenSource stop = new(TimeSpan.FromMilliseconds(60));
            Stopwatch watch = Stopwatch.StartNew();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => way switch
            {
                0 => Task.Run(() => slow.Generate(prompt, Greedy, stop.Token)),
                1 => slow.GenerateAsync(prompt, Greedy, stop.Token),
                _ => Collect(slow.StreamAsync(prompt, Greedy, stop.Token)),
            });
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"stopped after {watch.Elapsed}");
        }
    }

    [Fact]
    public async Task Cancelled_DuringTheAnswer_StopsAndLeavesTheModelUsable()
    {
        using LanguageModel slow = TinyModel.ForSlowWork().Load(TinyModel.SlowWork);
        using CancellationTokenSource stop = new();
        int pieces = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (GenerationChunk piece in slow.StreamAsync(Question,
                Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = 1900 }).WithCancellation(stop.Token))
            {
                if (++pieces == 3)
                {
                    await stop.CancelAsync();
                }
            }
        });
        Assert.True(pieces >= 3);
        Assert.Equal(2, slow.Generate(Question, Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = 2 }).TokenIds.Count);
    }

    [Fact]
    public void AsynchronousWays_NeverComputeOnTheCallersThread() => SingleThreadContext.Run(async context =>
    {
        RecordingFormatter formatter = new();
        using LanguageModel model = await LanguageModel.LoadAsync(PicoVicuna.Folder, new LoadOptions { Threads = 2, PromptFormatter = formatter });
        GenerationOptions options = Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = 350 };
        foreach (int way in new[] { 0, 1 })
        {
            int beats = 0;
            bool done = false;
            async Task Beat()
            {
                while (!done)
                {
                    await Task.Delay(1);
                    beats++;
                }
            }

            Task beating = Beat();
            if (way == 0)
            {
                await model.GenerateAsync(Question, options);
            }
            else
            {
                await Collect(model.StreamAsync(Question, options));
            }

            done = true;
            await beating;
            Assert.Equal(context.ThreadId, Environment.CurrentManagedThreadId);
            Assert.True(beats >= 2, $"the caller's thread was alive {beats} times only");
        }

        // Asked for at the beginning of the work itself.
        Assert.Equal(2, formatter.Threads.Count);
        Assert.DoesNotContain(context.ThreadId, formatter.Threads);
        using ChatSession chat = model.CreateChat(options: options);
        await Collect(chat.SendAsync("What is 3 plus 4?"));
        Assert.Equal(3, formatter.Threads.Count);
        Assert.DoesNotContain(context.ThreadId, formatter.Threads);
    });

    [Fact]
    public void WrongArguments_AreToldByTheCallItself()
    {
        Prompt prompt = "text";
        Assert.Throws<ArgumentNullException>(() => _model.StreamAsync(null!));
        Assert.Throws<ArgumentNullException>(() => { _ = _model.GenerateAsync(null!); });
        Assert.Throws<ArgumentNullException>(() => _model.Generate(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => _model.StreamAsync(new[] { 1024 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = _model.GenerateAsync(new[] { -1 }); });
        Assert.Throws<ArgumentException>(() => _model.StreamAsync(Prompt.FromMessages([new ChatMessage(ChatRole.Assistant, "Hi")])));
        Assert.Throws<ArgumentException>(() => Prompt.FromTokens([]));
        Assert.Throws<ArgumentException>(() => Prompt.FromMessages([]));
        Assert.Throws<ArgumentException>(() => Prompt.FromMessages([null!]));
        Assert.Throws<ArgumentNullException>(() => Prompt.FromText(null!));
        using ChatSession chat = _model.CreateChat();
        Assert.Throws<ArgumentNullException>(() => chat.SendAsync(null!));
        foreach ((GenerationOptions options, string name) in new (GenerationOptions, string)[]
        {
            (new() { MaxNewTokens = 0 }, "MaxNewTokens"), (new() { Temperature = -0.1 }, "Temperature"), (new() { Temperature = double.NaN }, "Temperature"),
            (new() { Temperature = 101 }, "Temperature"), (new() { TopK = -1 }, "TopK"), (new() { TopP = 0 }, "TopP"), (new() { TopP = 1.01 }, "TopP"),
            (new() { TopP = double.NaN }, "TopP"),
            (new() { MinP = -1 }, "MinP"), (new() { MinP = 1.1 }, "MinP"), (new() { RepetitionPenalty = 0 }, "RepetitionPenalty"),
            (new() { RepetitionPenalty = 101 }, "RepetitionPenalty"),
            (new() { PresencePenalty = 101 }, "PresencePenalty"), (new() { FrequencyPenalty = double.NegativeInfinity }, "FrequencyPenalty"),
            (new() { LogitBias = new Dictionary<int, float> { [1024] = 1 } }, "LogitBias"),
            (new() { LogitBias = new Dictionary<int, float> { [1] = float.NaN } }, "LogitBias"),
            (new() { LogitBias = new Dictionary<int, float> { [1] = float.PositiveInfinity } }, "LogitBias"), (new() { StopTokens = [-1] }, "StopTokens"),
            (new() { StopTokens = [1024] }, "StopTokens"),
            (new() { StopStrings = [""] }, "StopStrings"), (new() { StopStrings = [null!] }, "StopStrings"),
            (new() { StopStrings = [new string('x', 1025)] }, "StopStrings"),
            (new() { StopStrings = [.. Enumerable.Repeat("x", 65)] }, "StopStrings"),
        })
        {
            Assert.Equal(name, Assert.Throws<ArgumentOutOfRangeException>(() => _model.StreamAsync(prompt, options)).ParamName);
            Assert.Throws<ArgumentOutOfRangeException>(() => { _ = _model.GenerateAsync(prompt, options); });
            Assert.Throws<ArgumentOutOfRangeException>(() => _model.Generate(prompt, options));
            Assert.Throws<ArgumentOutOfRangeException>(() => _model.CreateGenerator(options));
            Assert.Throws<ArgumentOutOfRangeException>(() => _model.CreateChat(options: options));
        }
    }

    [Fact]
    public void LogitBias_BansAndForcesTokens()
    {
        IReadOnlyList<int> ids = _model.Generate(Question, Greedy).TokenIds;
        GenerationResult banned = _model.Generate(Question, Greedy with { LogitBias = new Dictionary<int, float> { [ids[0]] = float.NegativeInfinity } });
        Assert.DoesNotContain(ids[0], banned.TokenIds);
        GenerationResult forced = _model.Generate(Question, Greedy with { LogitBias = new Dictionary<int, float> { [500] = 1000 }, MaxNewTokens = 4 });
        Assert.Equal([500, 500, 500, 500], forced.TokenIds);
        Dictionary<int, float> all = Enumerable.Range(0, _model.Config.VocabSize).ToDictionary(id => id, _ => float.NegativeInfinity);
        Assert.Throws<NonFiniteLogitsException>(() => _model.Generate(Question, Greedy with { LogitBias = all }));
        Assert.Throws<NonFiniteLogitsException>(() => _model.Generate(Question, new GenerationOptions { Temperature = 1, LogitBias = all }));
    }

    [Fact]
    public void Penalties_ChangeTheAnswer()
    {
        GenerationOptions plain = Greedy with { IgnoreEndOfSequence = true, MaxNewTokens = 80 };
        IReadOnlyList<int> ids = _model.Generate(Question, plain).TokenIds;
        Assert.True(ids.Distinct().Count() < ids.Count);
        Assert.NotEqual(ids, _model.Generate(Question, plain with { RepetitionPenalty = 1.5 }).TokenIds);
        foreach (GenerationOptions options in new[] { plain with { PresencePenalty = 100 }, plain with { FrequencyPenalty = 100 } })
        {
            // More than any two logits differ by: no token comes twice.
            Assert.Distinct(_model.Generate(Question, options).TokenIds);
        }
    }

    private static async Task<List<GenerationChunk>> Collect(IAsyncEnumerable<GenerationChunk> pieces)
    {
        List<GenerationChunk> all = [];
        await foreach (GenerationChunk piece in pieces)
        {
            all.Add(piece);
        }

        return all;
    }

    // Its stop strings are asked for where the work begins.
    private sealed class RecordingFormatter : IPromptFormatter
    {
        public List<int> Threads { get; } = [];

        public IReadOnlyList<string> StopStrings
        {
            get
            {
                Threads.Add(Environment.CurrentManagedThreadId);
                return [];
            }
        }

        public IReadOnlyList<string> StopPieces => [];

        public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages) => PromptTemplates.Vicuna.Format(messages);
    }
}
