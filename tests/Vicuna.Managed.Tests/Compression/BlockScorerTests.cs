using System.Numerics.Tensors;
using System.Text.Json;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

public sealed class BlockScorerTests
{
    private const double Tolerance = 1e-3;

    public static TheoryData<string, string, InstructionSet> Goldens()
    {
        TheoryData<string, string, InstructionSet> data = [];
        foreach (InstructionSet set in Tiers.Supported)
        {
            data.Add("stories260k", "models/stories260k", set);
            data.Add("stories260k", "models/gguf/stories260k-f32.gguf", set);
            if (set != InstructionSet.Scalar || Tiers.Supported.Count == 1)
            {
                // A million weights take the scalar tier ten seconds, and show nothing that the smaller model does not.
                data.Add("tiny-vicuna", "models/tiny-vicuna-f16-sharded", set);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Goldens))]
    public void Taylor_OfAGoldenModel_IsTheGoldens(string golden, string folder, InstructionSet set)
    {
        JsonElement sensitivity = Sensitivity(golden);
        BlockScores scores = Score(folder, sensitivity, ScoreCriterion.Taylor, set);
        Close(Numbers(sensitivity, "taylor_blocks"), scores.Blocks);
        Dictionary<string, double> weights = scores.Weights.ToDictionary();
        foreach (JsonProperty expected in sensitivity.GetProperty("taylor_weights").EnumerateObject())
        {
            Assert.Equal(1, weights[expected.Name] / expected.Value.GetDouble(), Tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Goldens))]
    public void PerplexityAndMagnitude_OfAGoldenModel_AreTheGoldens(string golden, string folder, InstructionSet set)
    {
        JsonElement sensitivity = Sensitivity(golden);
        Close(Numbers(sensitivity, "ppl_without_block"), Score(folder, sensitivity, ScoreCriterion.Perplexity, set).Blocks);
        Close(Numbers(sensitivity, "magnitude_blocks"), Score(folder, sensitivity, ScoreCriterion.Magnitude, set).Blocks);
    }

    [Theory]
    [InlineData(ScoreCriterion.Taylor)]
    [InlineData(ScoreCriterion.Perplexity)]
    public void Score_InterruptedAtEveryBlock_EndsWithTheSameBits(ScoreCriterion criterion)
    {
        JsonElement sensitivity = Sensitivity("stories260k");
        int[][] samples = Samples(sensitivity);
        using TempFolder folder = new();
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require("models/stories260k"), new LoadOptions { Threads = 2 });
        BlockScores whole = BlockScorer.Score(model, criterion, samples);
        ScoreOptions options = new() { ProgressFile = folder.File("scores.partial") };
        BlockScores? resumed = null;
        int interruptions = 0;
        while (resumed is null)
        {
            using CancellationTokenSource stop = new();
            // After the first block that this run finishes.
            Listener listener = new(progress =>
            {
                if (progress.Step != "forward")
                {
                    stop.Cancel();
                }
            });
            try
            {
                resumed = BlockScorer.Score(model, criterion, samples, options, listener, stop.Token);
            }
            catch (OperationCanceledException)
            {
                interruptions++;
                Assert.True(File.Exists(options.ProgressFile));
            }
        }

        Assert.InRange(interruptions, 4, 5);
        Assert.Equal(whole.Blocks, resumed.Blocks);
        Assert.Equal(whole.Weights, resumed.Weights);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Score_WithTheProgressOfAnotherRun_RefusesIt()
    {
        int[][] samples = Samples(Sensitivity("stories260k"));
        using TempFolder folder = new();
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require("models/stories260k"), new LoadOptions { Threads = 1 });
        ScoreOptions options = new() { ProgressFile = folder.File("scores.partial") };
        using CancellationTokenSource stop = new();
        Assert.Throws<OperationCanceledException>(() => BlockScorer.Score(model, ScoreCriterion.Perplexity, samples, options, new Listener(_ => Stop()), stop.Token));
        string says = Assert.Throws<ModelFormatException>(() => BlockScorer.Score(model, ScoreCriterion.Perplexity, samples[1..], options)).Message;
        Assert.Contains("another model, criterion or set of samples", says, StringComparison.Ordinal);
        File.WriteAllBytes(options.ProgressFile, [1, 2, 3]);
        Assert.Throws<ModelFormatException>(() => BlockScorer.Score(model, ScoreCriterion.Perplexity, samples, options));

        void Stop()
        {
            if (File.Exists(options.ProgressFile))
            {
                stop.Cancel();
            }
        }
    }

    [Fact]
    public void BlockInfluence_OfAModel_IsTheCosineOfWhatTheGeneratorSees()
    {
        int[][] samples = [.. Samples(Sensitivity("stories260k")).Take(2)];
        using LanguageModel model = LanguageModel.Load(
            SharedFolder.Require("models/stories260k"), new LoadOptions { Threads = 1, KeyValueType = KeyValueType.F32 });
        BlockScores scores = BlockScorer.Score(model, ScoreCriterion.BlockInfluence, samples);
        Tap tap = new(model.Config.HiddenSize);
        foreach (int[] ids in samples)
        {
            using Generator generator = model.CreateGenerator();
            generator.Tap = tap;
            generator.Append(ids);
            generator.GetLogits();
        }

        Assert.Equal(samples.Sum(ids => ids.Length), tap.Tokens);
        Assert.Equal(5, scores.Blocks.Count);
        Assert.InRange(scores.Blocks[0], 0.0001, 2);
        for (int layer = 1; layer < 5; layer++)
        {
            Assert.Equal(1 - (tap.Cosines[layer] / tap.Tokens), scores.Blocks[layer], 1e-4);
        }
    }

    [Theory]
    [InlineData(0, 5, "found none")]
    [InlineData(1, 1, "Sample 0")]
    [InlineData(1, 5000, "Sample 0")]
    public void Score_OfSamplesThatDoNotFit_SaysWhich(int count, int length, string says)
    {
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require("models/stories260k"), new LoadOptions { Threads = 1 });
        int[][] samples = [.. Enumerable.Range(0, count).Select(_ => new int[length])];
        Assert.Contains(says, Assert.Throws<ArgumentException>(() => BlockScorer.Score(model, ScoreCriterion.Taylor, samples)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => BlockScorer.Score(model, ScoreCriterion.Taylor, [[1, 99_999]]));
    }

    private static void Close(double[] expected, IReadOnlyList<double> found)
    {
        Assert.Equal(expected.Length, found.Count);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(1, found[i] / expected[i], Tolerance);
        }
    }

    private static BlockScores Score(string folder, JsonElement sensitivity, ScoreCriterion criterion, InstructionSet set)
    {
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require(folder), new LoadOptions { Threads = 2, InstructionSet = set });
        return BlockScorer.Score(model, criterion, Samples(sensitivity));
    }

    private static JsonElement Sensitivity(string golden) =>
        JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require($"goldens/{golden}.json"))).RootElement.GetProperty("sensitivity");

    private static double[] Numbers(JsonElement parent, string name) => [.. parent.GetProperty(name).EnumerateArray().Select(number => number.GetDouble())];

    private static int[][] Samples(JsonElement sensitivity) =>
        [.. sensitivity.GetProperty("calibration_ids").EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];

    private sealed class Listener(Action<ScoreProgress> report) : IProgress<ScoreProgress>
    {
        public void Report(ScoreProgress value) => report(value);
    }

    private sealed class Tap(int width) : IActivationTap
    {
        private float[] _before = [];

        public double[] Cosines { get; } = new double[5];

        public int Tokens { get; private set; }

        public void AfterBlock(int layer, ReadOnlySpan<float> hidden)
        {
            for (int start = 0; layer > 0 && start < hidden.Length; start += width)
            {
                Cosines[layer] += TensorPrimitives.CosineSimilarity(hidden.Slice(start, width), _before.AsSpan(start, width));
            }

            _before = hidden.ToArray();
            Tokens += layer == 0 ? hidden.Length / width : 0;
        }
    }
}
