using Vicuna.Managed.Chat;
using Vicuna.Managed.Sampling;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Log-probabilities against a plain computation in f64, on every way to an answer.</summary>
public sealed class LogProbabilityTests
{
    private static readonly Prompt Question = Prompt.FromMessages([new ChatMessage(ChatRole.User, "What color is the sky?")]);

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(100)]
    public void Generator_TellsWhatTheLogitsSay(int top)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        // Everything that changes what is chosen, and nothing of it what is told.
        using Generator generator = model.CreateGenerator(new GenerationOptions
        {
            LogProbabilities = top, Temperature = 1.4, TopK = 40, Seed = 5, RepetitionPenalty = 1.5, LogitBias = new Dictionary<int, float> { [300] = -5 },
        });
        generator.AppendText("Once upon a time");
        Assert.Null(generator.LastLogProbability);
        for (int i = 0; i < 10; i++)
        {
            float[] logits = generator.GetLogits().ToArray();
            int token = generator.Next();
            TokenLogProbability told = generator.LastLogProbability!;
            double[] expected = Reference(logits);
            Assert.Equal(token, told.TokenId);
            Assert.Equal(expected[token], told.LogProbability, 1e-9);
            int[] likeliest = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(top)];
            Assert.Equal(likeliest, told.Top.Select(other => other.TokenId));
            Assert.All(told.Top, other => Assert.Equal(expected[other.TokenId], other.LogProbability, 1e-9));
        }

        using Generator fork = generator.Fork();
        Assert.Same(generator.LastLogProbability, fork.LastLogProbability);
        generator.Rewind(generator.Position - 1);
        Assert.Null(generator.LastLogProbability);
    }

    [Fact]
    public async Task Results_AndPieces_HaveOneForEachToken()
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder);
        GenerationOptions options = new() { Temperature = 0, LogProbabilities = 2 };
        GenerationResult result = model.Generate(Question, options);
        Assert.Equal("The sky is blue.", result.Text);
        Check(result.TokenIds, result.LogProbabilities);
        // Greedy: each chosen token is the likeliest.
        Assert.All(result.LogProbabilities!, told => Assert.Equal((told.TokenId, told.LogProbability), (told.Top[0].TokenId, told.Top[0].LogProbability)));
        await using InferenceEngine engine = new(model);
        foreach (IAsyncEnumerable<GenerationChunk> pieces in new[] { model.StreamAsync(Question, options), engine.StreamAsync(Question, options) })
        {
            List<TokenLogProbability> all = [];
            GenerationResult? last = null;
            await foreach (GenerationChunk piece in pieces)
            {
                Check(piece.TokenIds, piece.LogProbabilities);
                all.AddRange(piece.LogProbabilities!);
                last = piece.Result;
            }

            Assert.Equal(result.LogProbabilities!.Select(told => told.LogProbability), all.Select(told => told.LogProbability));
            Assert.Equal(all, last!.LogProbabilities);
        }

        Assert.Equal(
            result.LogProbabilities!.Select(told => told.LogProbability), model.GenerateBatch([Question, "Hello"], options)[0].LogProbabilities!.Select(told => told.LogProbability));
        Assert.Null(model.Generate(Question, options with { LogProbabilities = null }).LogProbabilities);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(Question, options with { LogProbabilities = 101 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(Question, options with { LogProbabilities = -1 }));

        static void Check(IReadOnlyList<int> ids, IReadOnlyList<TokenLogProbability>? told) => Assert.Equal(ids, told!.Select(token => token.TokenId));
    }

    [Fact]
    public void Numbers_OfExtremeLogits_AreExact()
    {
        float[] logits = [.. Enumerable.Range(0, 3000).Select(i => i % 7 == 0 ? float.NegativeInfinity : (float)(((i * 7919) % 3001) - 1500) / 3)];
        logits[1234] = logits[2999] = 3e4f;
        double[] expected = Reference(logits);
        double normalizer = new LogProbabilities().Normalizer(logits);
        Assert.Equal(expected[1234], logits[1234] - normalizer, 1e-9);
        Assert.Equal(Math.Log(0.5), logits[2999] - normalizer, 1e-9);
        Assert.Equal([1234, 2999], LogProbabilities.Top(logits, 2));
        Assert.Equal([0, 1, 2], LogProbabilities.Top(new float[3], 10));
        Assert.Empty(LogProbabilities.Top(logits, 0));
        int[] all = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(100)];
        Assert.Equal(all, LogProbabilities.Top(logits, 100));
    }

    private static double[] Reference(float[] logits)
    {
        double maximum = logits.Max();
        double normalizer = maximum + Math.Log(logits.Sum(logit => Math.Exp(logit - maximum)));
        return [.. logits.Select(logit => logit - normalizer)];
    }
}
