using System.Text.Json;
using Vicuna.Managed.Compression;
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
            data.Add("tiny-vicuna", "models/tiny-vicuna-f16-sharded", set);
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
}
