using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Models;

/// <summary>The decoder against an f64 oracle, and against itself cut up differently.</summary>
public sealed class DecoderTests
{
    private const double Tolerance = 2e-4;

    private static readonly Dictionary<string, TinyShape> Shapes = new()
    {
        ["plain"] = new() { Context = 40 },
        ["grouped"] = new() { KeyValueHeads = 2, Context = 40 },
        ["one key head"] = new() { KeyValueHeads = 1, Context = 40 },
        ["odd widths"] = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 203, Vocab = 131, Context = 40 },
        ["tied"] = new() { Tied = true, Context = 40 },
        ["biases"] = new() { AttentionBias = true, MlpBias = true, KeyValueHeads = 2, Context = 40 },
        ["attention bias"] = new() { AttentionBias = true, Context = 40 },
        ["explicit head"] = new() { Heads = 3, KeyValueHeads = 1, HeadDim = 16, Context = 40 },
        ["smallest head"] = new() { Heads = 16, KeyValueHeads = 4, Context = 40 },
        ["linear"] = new() { Extra = """ "rope_scaling": {"rope_type": "linear", "factor": 4.0} """, Context = 300 },
        ["old type key"] = new() { Extra = """ "rope_scaling": {"type": "linear", "factor": 2.5} """, Context = 40 },
        ["default scaling"] = new() { Extra = """ "rope_scaling": {"rope_type": "default", "factor": 9.0} """, Context = 40 },
        ["llama3"] = new()
        {
            Hidden = 64,
            Heads = 2,
            KeyValueHeads = 2,
            Layers = 1,
            Extra = """ "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 96} """,
            Context = 450,
        },
        ["rope_parameters"] = new() { Extra = """ "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 2500.0} """, Context = 40 },
        ["theta"] = new() { Extra = """ "rope_theta": 1000000.0 """, Context = 40 },
        ["mistral"] = new() { ModelType = "mistral", KeyValueHeads = 2, Context = 40 },
        ["window"] = new() { ModelType = "mistral", KeyValueHeads = 2, SlidingWindow = 7, Context = 40 },
        ["window over pages"] = new() { ModelType = "mistral", SlidingWindow = 70, Context = 200 },
        ["window of one"] = new() { ModelType = "mistral", SlidingWindow = 1, Context = 40 },
        ["one layer"] = new() { Layers = 1, Context = 40 },
        ["vocabulary of 33"] = new() { Vocab = 33, Context = 40 },
    };

    private static readonly ConcurrentDictionary<(string, TensorType, int), Lazy<(TinyModel Model, double[][] Logits)>> Oracles = new();

    public static TheoryData<string, TensorType, InstructionSet> Cases()
    {
        TheoryData<string, TensorType, InstructionSet> data = [];
        foreach (string name in Shapes.Keys)
        {
            foreach (TensorType type in new[] { TensorType.F32, TensorType.F16, TensorType.BF16 })
            {
                foreach (InstructionSet set in Tiers.Supported)
                {
                    data.Add(name, type, set);
                }
            }
        }

        return data;
    }

    public static TheoryData<InstructionSet, Quantization> Quantized()
    {
        TheoryData<InstructionSet, Quantization> data = [];
        foreach (InstructionSet set in Tiers.Supported)
        {
            data.Add(set, Quantization.None);
            data.Add(set, Quantization.Q8);
            data.Add(set, Quantization.Q4);
        }

        return data;
    }

    public static TheoryData<int, InstructionSet> PageBorders()
    {
        TheoryData<int, InstructionSet> data = [];
        foreach (int count in new[] { 1, 2, 63, 64, 65, 127, 128, 129 })
        {
            foreach (InstructionSet set in Tiers.Supported)
            {
                data.Add(count, set);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_OfEveryShape_AreThoseOfTheOracle(string shape, TensorType type, InstructionSet set)
    {
        (TinyModel tiny, double[][] expected) = Oracle(shape, type, Shapes[shape].Context);
        using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Threads = 2, KeyValueType = KeyValueType.F32 });
        AssertClose(expected, Run(model, tiny.RandomTokens(expected.Length), expected.Length));
    }

    [Theory]
    [MemberData(nameof(PageBorders))]
    public void Logits_OfSequencesThatEndAtPageBorders_AreThoseOfTheOracle(int count, InstructionSet set)
    {
        (TinyModel tiny, double[][] all) = Oracle("window over pages", TensorType.F32, 132);
        using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Threads = 2, KeyValueType = KeyValueType.F32 });
        using Generator generator = model.CreateGenerator();
        int[] tokens = tiny.RandomTokens(132);
        generator.Append(tokens.AsSpan(0, count));
        AssertClose([all[count - 1]], generator.GetLogits().ToArray());
        // And on over the border, token by token.
        for (int i = count; i < count + 3; i++)
        {
            generator.Append(tokens.AsSpan(i, 1));
            AssertClose([all[i]], generator.GetLogits().ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Logits_ForAnyNumberOfThreads_AreBitEqual(InstructionSet set, Quantization quantization)
    {
        foreach (TinyShape shape in new[] { Shapes["odd widths"] with { Type = TensorType.F16 }, Shapes["window over pages"],
            Shapes["biases"] with { Type = TensorType.BF16 } })
        {
            TinyModel tiny = new(shape);
            int[] tokens = tiny.RandomTokens(shape.Context);
            float[]? expected = null;
            foreach (int threads in new[] { 1, 2, 3, 5, 16 })
            {
                using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Quantization = quantization, Threads = threads });
                Assert.Equal(threads, model.Threads);
                float[] found = Run(model, tokens, tokens.Length - 3, 1, 1, 1);
                AssertSameBits(expected ??= found, found);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Logits_OfAPromptInOneOrManySteps_AreBitEqual(InstructionSet set, Quantization quantization)
    {
        foreach (TensorType type in new[] { TensorType.F32, TensorType.F16, TensorType.BF16 })
        {
            TinyModel tiny = new(Shapes["odd widths"] with { Type = type, Context = 140 });
            using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Quantization = quantization, Threads = 2 });
            int[] tokens = tiny.RandomTokens(140);
            float[] expected = Run(model, tokens, 140);
            AssertSameBits(expected, Run(model, tokens, [.. Enumerable.Repeat(1, 140)]));
            AssertSameBits(expected, Run(model, tokens, 1, 2, 3, 4, 5, 60, 64, 1));
            AssertSameBits(expected, Run(model, tokens, 63, 65, 12));
        }
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Logits_ForAnyChunkSize_AreBitEqual(InstructionSet set, Quantization quantization)
    {
        TinyModel tiny = new(Shapes["odd widths"] with { Context = 200, Type = TensorType.F16 });
        int[] tokens = tiny.RandomTokens(200);
        float[]? expected = null;
        foreach (int chunk in new[] { 1, 3, 64, 200, 512 })
        {
            using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Quantization = quantization, Threads = 2, PrefillChunkTokens = chunk });
            float[] found = Run(model, tokens, 200);
            AssertSameBits(expected ??= found, found);
        }
    }

    [Fact]
    public void GetLogits_AfterAnObservedAppend_AreTheLastObserved()
    {
        TinyModel tiny = new(Shapes["odd widths"]);
        using LanguageModel model = tiny.Load();
        using Generator generator = model.CreateGenerator();
        float[] last = [];
        generator.AppendObserved(tiny.RandomTokens(21), (_, logits) => last = logits.ToArray());
        AssertSameBits(last, generator.GetLogits());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(64)]
    [InlineData(70)]
    [InlineData(128)]
    public void Sequence_ThatFillsTheContext_IsRightToTheLastPosition(int context)
    {
        TinyModel tiny = new(Shapes["grouped"] with { Context = context });
        using LanguageModel model = tiny.Load(new LoadOptions { Threads = 2, KeyValueType = KeyValueType.F32 });
        using Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        generator.Append(tiny.RandomTokens(context - 1));
        int token = generator.Next();
        double[][] expected = new ReferenceDecoder(tiny).Logits([.. generator.Tokens]);
        Assert.Equal(Array.IndexOf(expected[^2], expected[^2].Max()), token);
        AssertClose([expected[^1]], generator.GetLogits().ToArray());
        Assert.Throws<ContextLengthExceededException>(() => generator.Next());
        Assert.Throws<ContextLengthExceededException>(() => generator.Append([0]));
        Assert.Equal(context, generator.Position);
    }

    [Theory]
    [InlineData("model.layers.1.mlp.down_proj.weight", float.NaN)]
    [InlineData("lm_head.weight", float.NaN)]
    [InlineData("lm_head.weight", float.PositiveInfinity)]
    [InlineData("model.norm.weight", float.NaN)]
    public void DamagedWeights_AreReportedWhenATokenIsChosen(string name, float value)
    {
        TinyModel tiny = new(Shapes["plain"]);
        Array.Fill(tiny.Tensors[name].Values, value);
        using LanguageModel model = tiny.Load();
        NonFiniteLogitsException found = Assert.Throws<NonFiniteLogitsException>(() =>
            model.Generate(new[] { 1, 2, 3 }, new GenerationOptions { Temperature = 1 }));
        Assert.Contains("damaged", found.Message);
        Assert.Throws<NonFiniteLogitsException>(() => Perplexity.Measure(model, [[1, 2, 3]]));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(96)]
    [InlineData(int.MinValue)]
    [InlineData(int.MaxValue)]
    public void TokenId_OutsideTheVocabulary_IsRefusedBeforeAnyWork(int id)
    {
        using LanguageModel model = new TinyModel(Shapes["plain"]).Load();
        using Generator generator = model.CreateGenerator();
        ArgumentOutOfRangeException found = Assert.Throws<ArgumentOutOfRangeException>(() => generator.Append([1, id]));
        Assert.Contains("0 to 95", found.Message);
        Assert.Equal(0, generator.Position);
        Assert.Throws<ArgumentOutOfRangeException>(() => Perplexity.Measure(model, [[1, id]]));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(new[] { id }));
    }

    [Fact]
    public void SlidingWindow_OfAMistralModel_ChangesWhatItComputes()
    {
        double[] windowed = new ReferenceDecoder(new TinyModel(Shapes["window"])).Logits([.. Enumerable.Range(0, 20)])[^1];
        double[] open = new ReferenceDecoder(new TinyModel(Shapes["mistral"])).Logits([.. Enumerable.Range(0, 20)])[^1];
        Assert.True(windowed.Zip(open, (a, b) => Math.Abs(a - b)).Max() > 0.1);
    }

    private static (TinyModel Model, double[][] Logits) Oracle(string shape, TensorType type, int count) =>
        Oracles.GetOrAdd((shape, type, count), _ => new(() =>
    {
        TinyModel tiny = new(Shapes[shape] with { Type = type });
        return (tiny, new ReferenceDecoder(tiny).Logits(tiny.RandomTokens(count)));
    })).Value;

    // The logits after all tokens, appended in steps.
    private static float[] Run(LanguageModel model, int[] tokens, params int[] steps)
    {
        using Generator generator = model.CreateGenerator();
        List<float> all = [];
        foreach (int step in steps)
        {
            generator.AppendObserved(tokens.AsSpan(generator.Position, step), (_, logits) => all.AddRange(logits));
        }

        Assert.Equal(tokens.Length * model.Config.VocabSize, all.Count);
        return [.. all];
    }

    private static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> found) =>
        Assert.True(MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(found)), "the bits of the logits differ");

    private static void AssertClose(double[][] expected, float[] found)
    {
        int vocab = expected[0].Length;
        Assert.Equal(expected.Length * vocab, found.Length);
        for (int position = 0; position < expected.Length; position++)
        {
            double rms = Math.Sqrt(expected[position].Average(value => value * value));
            double worst = expected[position].Select((value, i) => Math.Abs(value - found[(position * vocab) + i])).Max();
            Assert.True(worst <= Tolerance * rms, $"position {position}: largest error {worst / rms:g3} of the root mean square");
        }
    }
}
