using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Models;

/// <summary>What narrow weights, keys and values cost in perplexity, on text that the model was not trained on.</summary>
public sealed class QuantizationQualityTests
{
    // Relative change of the perplexity that is allowed on 7,399 held-out tokens.
    public static TheoryData<Quantization, KeyValueType, double> PicoCases() => new()
    {
        { Quantization.None, KeyValueType.F16, 0.0005 },
        { Quantization.None, KeyValueType.Q8, 0.005 },
        { Quantization.Q8, KeyValueType.F32, 0.005 },
        { Quantization.Q8, KeyValueType.F16, 0.005 },
        { Quantization.Q8, KeyValueType.Q8, 0.005 },
        { Quantization.Q4, KeyValueType.F32, 0.05 },
        { Quantization.Q4, KeyValueType.F16, 0.05 },
        { Quantization.Q4, KeyValueType.Q8, 0.05 },
    };

    // A quarter of a million weights in rows of 64, none of them to spare, and 135 tokens: far more than on models of use.
    public static TheoryData<string, Quantization, KeyValueType, double> StoriesCases()
    {
        TheoryData<string, Quantization, KeyValueType, double> data = [];
        foreach (string model in new[] { "models/stories260k", "models/gguf/stories260k-f32.gguf" })
        {
            data.Add(model, Quantization.None, KeyValueType.F16, 0.0005);
            data.Add(model, Quantization.None, KeyValueType.Q8, 0.01);
            data.Add(model, Quantization.Q8, KeyValueType.F32, 0.005);
            data.Add(model, Quantization.Q4, KeyValueType.F32, 0.15);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(PicoCases))]
    public void Perplexity_OfHeldOutText_ChangesNoMoreThanStated(Quantization quantization, KeyValueType keyValues, double relative)
    {
        using JsonDocument json = PicoVicuna.Golden();
        JsonElement golden = json.RootElement.GetProperty("held_out");
        int[][] rows = [.. golden.GetProperty("ids").EnumerateArray().Select(Ints)];
        Check(PicoVicuna.GoldenFolder, rows, golden.GetProperty("perplexity").GetDouble(), quantization, keyValues, relative);
    }

    [Theory]
    [MemberData(nameof(StoriesCases))]
    public void Perplexity_OfAStory_ChangesNoMoreThanStated(string model, Quantization quantization, KeyValueType keyValues, double relative)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/stories260k.json")));
        JsonElement golden = json.RootElement.GetProperty("perplexity");
        Check(SharedFolder.Require(model), [Ints(golden.GetProperty("ids"))], golden.GetProperty("perplexity").GetDouble(), quantization, keyValues, relative);
    }

    private static void Check(string path, int[][] rows, double expected, Quantization quantization, KeyValueType keyValues, double relative)
    {
        using LanguageModel model = LanguageModel.Load(path, new LoadOptions { Quantization = quantization, KeyValueType = keyValues });
        double found = Perplexity.Measure(model, rows).Perplexity;
        TestContext.Current.SendDiagnosticMessage($"{Path.GetFileName(path)} {quantization} {keyValues}: {found:0.00000}, {(found / expected) - 1:+0.000%;-0.000%}");
        Assert.InRange(found, expected * (1 - relative), expected * (1 + relative));
        Assert.NotEqual(expected, found, 1e-9);
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];
}
