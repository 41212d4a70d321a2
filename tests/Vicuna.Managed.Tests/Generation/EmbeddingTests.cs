using Vicuna.Managed.Generation;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Generation;

/// <summary>Texts as vectors.</summary>
public sealed class EmbeddingTests
{
    private static readonly TinyShape Shape = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121, Vocab = 131, Context = 300 };

    public static TheoryData<InstructionSet> Sets() => [.. Tiers.Supported];

    [Theory]
    [MemberData(nameof(Sets))]
    public void Embed_OfTokens_IsTheNormalizedMeanOfTheReferencesOutput(InstructionSet set)
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 2, InstructionSet = set, KeyValueType = KeyValueType.F32 });
        foreach (int length in new[] { 1, 2, 40 })
        {
            int[] tokens = tiny.RandomTokens(length);
            double[][] hidden = new ReferenceDecoder(tiny).Hidden(tokens);
            double[] mean = [.. Enumerable.Range(0, Shape.Hidden).Select(i => hidden.Average(row => row[i]))];
            double norm = Math.Sqrt(mean.Sum(x => x * x));
            EmbeddingResult found = model.Embed(tokens, TestContext.Current.CancellationToken);
            Assert.Equal(length, found.PromptTokens);
            Assert.Equal(1, found.Vector.Sum(x => (double)x * x), 1e-5);
            for (int i = 0; i < mean.Length; i++)
            {
                Assert.Equal(mean[i] / norm, found.Vector[i], 1e-4);
            }
        }
    }

    [Fact]
    public void Embed_InAnyChunksAndThreads_IsTheSameToTheBit()
    {
        TinyModel tiny = new(Shape);
        int[] tokens = tiny.RandomTokens(200);
        IReadOnlyList<float>? expected = null;
        foreach ((int threads, int chunk) in new[] { (1, 512), (2, 64), (3, 7), (7, 1) })
        {
            using LanguageModel model = tiny.Load(new LoadOptions { Threads = threads, PrefillChunkTokens = chunk });
            expected ??= model.Embed(tokens, TestContext.Current.CancellationToken).Vector;
            Assert.Equal(expected, model.Embed(tokens, TestContext.Current.CancellationToken).Vector);
        }
    }

    [Fact]
    public void Batch_OfAnswersAndVectors_GivesEachWhatItGetsAlone()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 2, PrefillChunkTokens = 50 });
        int[][] texts = [.. Enumerable.Range(0, 6).Select(i => tiny.RandomTokens(1 + (i * 31), i))];
        SequenceBatch batch = model.CreateBatch();
        Sequence[] pooled = [.. texts.Select(_ => new Sequence(model.Decoder, 300, this) { Pool = new HiddenMean(Shape.Hidden) })];
        Generator[] answers = [.. texts.Select(_ => model.CreateGenerator())];
        for (int i = 0; i < texts.Length; i++)
        {
            pooled[i].AppendPending(texts[i]);
            answers[i].Sequence.AppendPending(texts[i]);
            batch.Add(pooled[i]);
            batch.Add(answers[i].Sequence);
        }

        while (batch.Step(TestContext.Current.CancellationToken) < 2 * texts.Length)
        {
        }

        for (int i = 0; i < texts.Length; i++)
        {
            using Generator alone = model.CreateGenerator();
            alone.Append(texts[i], TestContext.Current.CancellationToken);
            Assert.Equal(alone.GetLogits(TestContext.Current.CancellationToken), answers[i].GetLogits(TestContext.Current.CancellationToken));
            Assert.Equal(model.Embed(texts[i], TestContext.Current.CancellationToken).Vector, pooled[i].Pool!.Normalized());
            pooled[i].Guard.Close();
            answers[i].Dispose();
        }
    }

    [Fact]
    public void Embed_OfWrongInput_SaysSo()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load();
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Embed(new[] { 131 }));
        Assert.Throws<ContextLengthExceededException>(() => model.Embed(tiny.RandomTokens(301)));
        Assert.Throws<ModelFormatException>(() => model.Embed("text"));
        using CancellationTokenSource stopped = new();
        stopped.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => model.Embed(tiny.RandomTokens(5), stopped.Token));
    }

    [Fact]
    public void Normalized_OfNumbersThatAreNone_IsAnError()
    {
        HiddenMean mean = new(2);
        mean.Add([1, float.NaN]);
        Assert.Throws<NonFiniteLogitsException>(mean.Normalized);
    }
}
