using System.Runtime.InteropServices;
using Vicuna.Managed.Adapters;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Models;

/// <summary>Adapters in the forward pass: against an f64 oracle with merged weights, and against themselves cut up differently.</summary>
public sealed class AdapterTests
{
    private const double Tolerance = 2e-4;

    private static readonly TinyShape Odd = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121, Vocab = 131, Context = 200 };

    public static TheoryData<string, TensorType, InstructionSet> Cases()
    {
        TheoryData<string, TensorType, InstructionSet> data = [];
        foreach (InstructionSet set in Tiers.Supported)
        {
            data.Add("all", TensorType.F32, set);
            data.Add("all", TensorType.F16, set);
            data.Add("attention", TensorType.BF16, set);
            data.Add("feed forward", TensorType.F32, set);
            data.Add("biases", TensorType.F32, set);
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

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_WithAnAdapter_AreThoseOfTheMergedOracle(string what, TensorType type, InstructionSet set)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Odd with { Type = type, AttentionBias = what == "biases", MlpBias = what == "biases" });
        using LanguageModel model = tiny.Load(new LoadOptions { InstructionSet = set, Threads = 2, KeyValueType = KeyValueType.F32 });
        PeftAdapter adapter = TinyAdapter.Random(model.Config, 5, seed: 2, what switch
        {
            "attention" => [BlockMatrix.Query, BlockMatrix.Key, BlockMatrix.Value, BlockMatrix.Output],
            "feed forward" => [BlockMatrix.Gate, BlockMatrix.Down],
            _ => [],
        });
        // More than a tile of tokens, so that both ways to split the work are taken.
        int[] tokens = tiny.RandomTokens(90);
        LoraAdapter loaded = model.LoadAdapter(TinyAdapter.Write(folder, adapter), 0.75f);
        float[] alone = Run(model, tokens, null, 90);
        float[] found = Run(model, tokens, [loaded], 70, 1, 19);
        TinyAdapter.MergeInto(tiny, adapter, 0.75);
        double[] expected = [.. new ReferenceDecoder(tiny).Logits(tokens).SelectMany(row => row)];
        double rms = Math.Sqrt(expected.Average(value => value * value));
        Assert.True(expected.Zip(found, (a, b) => Math.Abs(a - b)).Max() <= Tolerance * rms, $"{expected.Zip(found, (a, b) => Math.Abs(a - b)).Max() / rms}");
        // The adapter changes much more than the tolerance.
        Assert.True(expected.Zip(alone, (a, b) => Math.Abs(a - b)).Max() > 0.1 * rms);
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Logits_ForAnyThreadsChunksAndNeighbors_AreBitEqual(InstructionSet set, Quantization quantization)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Odd with { Type = TensorType.F16 });
        string[] paths;
        using (LanguageModel any = tiny.Load())
        {
            paths =
            [
                TinyAdapter.Write(folder, TinyAdapter.Random(any.Config, 4, seed: 1)), TinyAdapter.Write(folder, TinyAdapter.Random(any.Config, 17, seed: 2)),
                TinyAdapter.Write(folder, TinyAdapter.Random(any.Config, 3, seed: 3, BlockMatrix.Value, BlockMatrix.Down)),
            ];
        }

        // Neighbors with the same adapters, with others, with several, with none.
        int[][] stacks = [[0], [0], [], [1], [0, 1], [2], [2], [], [1, 2], [0]];
        int[][] prompts = [.. stacks.Select((_, i) => tiny.RandomTokens(1 + (i * 37 % 150), seed: i))];
        float[][]? expected = null;
        foreach ((int threads, int chunk, bool together) in new[]
            { (1, 512, false), (1, 512, true), (3, 64, true), (2, 7, false), (7, 512, true), (2, 1, true) })
        {
            using LanguageModel model = tiny.Load(new LoadOptions
            {
                InstructionSet = set,
                Quantization = quantization,
                Threads = threads,
                PrefillChunkTokens = chunk,
            });
            LoraAdapter[] adapters = [.. paths.Select(path => model.LoadAdapter(path))];
            Generator[] generators =
            [
                .. stacks.Select(stack => model.CreateGenerator(new GenerationOptions { Temperature = 0, Adapters = [.. stack.Select(i => adapters[i])] })),
            ];
            float[][] found = Logits(model, generators, prompts, together);
            expected ??= found;
            for (int i = 0; i < prompts.Length; i++)
            {
                Assert.True(Same(expected[i], found[i]), $"sequence {i}, {threads} threads, chunks of {chunk}, together {together}");
            }

            Array.ForEach(generators, generator => generator.Dispose());
        }

        Assert.False(Same(expected![0].AsSpan(0, 10), expected[3].AsSpan(0, 10)));
    }

    [Fact]
    public void Weights_OfAdapters_ScaleAndAddUp()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Odd);
        LoadOptions options = new() { Threads = 2, KeyValueType = KeyValueType.F32 };
        using LanguageModel model = tiny.Load(options);
        int[] tokens = tiny.RandomTokens(40);
        LoraAdapter first = model.LoadAdapter(TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 4, seed: 1)));
        LoraAdapter second = model.LoadAdapter(TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 2, seed: 2, BlockMatrix.Query, BlockMatrix.Up)));
        float[] none = Run(model, tokens, null, 40);
        float[] one = Run(model, tokens, [first], 40);
        Assert.True(Same(none, Run(model, tokens, [], 40)));
        Assert.True(Same(none, Run(model, tokens, [first.WithWeight(0)], 40)));
        Assert.True(Same(one, Run(model, tokens, [second.WithWeight(0), first], 40)));
        AssertClose(one, Run(model, tokens, [first.WithWeight(0.25f), first.WithWeight(0.75f)], 40));
        AssertClose(none, Run(model, tokens, [first, second, first.WithWeight(-1), second.WithWeight(-1)], 40));
        AssertClose(Run(model, tokens, [first, second], 40), Run(model, tokens, [second, first], 40));
        // Two at a time are what both of them merged are.
        TinyModel merged = new(Odd);
        TinyAdapter.MergeInto(merged, PeftAdapterFile.Read(first.Path));
        TinyAdapter.MergeInto(merged, PeftAdapterFile.Read(second.Path), 0.5);
        using LanguageModel both = merged.Load(options);
        AssertClose(Run(both, tokens, null, 40), Run(model, tokens, [first, second.WithWeight(0.5f)], 40));
        Assert.Equal((4, 1f, 1f, 0.5f), (first.Rank, first.Scale, first.Weight, first.WithWeight(0.5f).Weight));
        Assert.Equal(2L * 2 * (90 + 90 + 90 + 121), second.ParameterCount);
        Assert.Throws<ArgumentOutOfRangeException>(() => first.WithWeight(float.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.LoadAdapter(first.Path, float.PositiveInfinity));
    }

    [Theory]
    [InlineData(Quantization.Q8)]
    [InlineData(Quantization.Q4)]
    public void Logits_OfAQuantizedModelWithAnAdapter_AreAsNearThoseOfTheMergedOneAsWithout(Quantization quantization)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Odd with { Hidden = 128, Heads = 4, KeyValueHeads = 2, Intermediate = 256 });
        using LanguageModel model = tiny.Load(new LoadOptions { Quantization = quantization });
        PeftAdapter adapter = TinyAdapter.Random(model.Config, 8, seed: 2);
        LoraAdapter loaded = model.LoadAdapter(TinyAdapter.Write(folder, adapter));
        int[] tokens = tiny.RandomTokens(30);
        double[] exact = [.. Merged(null)];
        double[] changed = [.. Merged(adapter)];
        double change = Distance(exact, changed);
        double without = Distance(exact, Run(model, tokens, null, 30).Select(value => (double)value));
        double with = Distance(changed, Run(model, tokens, [loaded], 30).Select(value => (double)value));
        // What quantization costs is the same; the adapter itself is not quantized.
        Assert.True(with < 2 * without && with < 0.5 * change, $"with {with}, without {without}, change {change}");

        IEnumerable<double> Merged(PeftAdapter? merged)
        {
            TinyModel copy = new(tiny.Shape);
            if (merged is not null)
            {
                TinyAdapter.MergeInto(copy, merged);
            }

            return new ReferenceDecoder(copy).Logits(tokens).SelectMany(row => row);
        }
    }

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void Logits_OfAGgufModel_AreThoseOfTheSameModelInSafetensors(InstructionSet set)
    {
        using TempFolder folder = new();
        LoadOptions options = new() { InstructionSet = set, Threads = 2, KeyValueType = KeyValueType.F32 };
        using LanguageModel safetensors = LanguageModel.Load(SharedFolder.Require("models/stories260k"), options);
        using LanguageModel gguf = LanguageModel.Load(SharedFolder.Require("models/gguf/stories260k-f32.gguf"), options);
        string path = TinyAdapter.Write(folder, TinyAdapter.Random(safetensors.Config, 4, seed: 5));
        int[] tokens = [1, .. Enumerable.Range(300, 30)];
        float[] expected = Run(safetensors, tokens, [safetensors.LoadAdapter(path)], 31);
        AssertClose(expected, Run(gguf, tokens, [gguf.LoadAdapter(path)], 31));
        Assert.True(Distance(expected, Run(gguf, tokens, null, 31)) > 0.1);
    }

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void Logits_WithTheGoldenAdapter_AreTheGoldens(InstructionSet set)
    {
        using TempFolder folder = new();
        LoraGolden golden = LoraGolden.Load(folder);
        LoadOptions options = new() { InstructionSet = set, Threads = 2, KeyValueType = KeyValueType.F32 };
        // The shortened checkpoint, and the whole one shortened while it is loaded: blocks are counted as they are loaded.
        foreach ((string path, IReadOnlyList<int>? removed) in new[] { (golden.Model, null), (SharedFolder.Require(LoraGolden.Whole), LoraGolden.Removed) })
        {
            using LanguageModel model = LanguageModel.Load(path, options with { RemovedBlocks = removed });
            LoraAdapter adapter = model.LoadAdapter(golden.Adapter);
            float[] logits = Run(model, golden.Ids, [adapter], golden.Ids.Length)[^model.Config.VocabSize..];
            Assert.True(golden.LastLogits.Zip(logits, (a, b) => Math.Abs(a - b)).Max() <= 1e-3);
            Assert.Equal(golden.NllBefore, Perplexity.Measure(model, [golden.Ids]).MeanNegativeLogLikelihood, 1e-5);
            Assert.Equal(golden.NllAfter, Perplexity.MeasureWithAdapters(model, [adapter], [golden.Ids]).MeanNegativeLogLikelihood, 1e-5);
        }
    }

    private static float[][] Logits(LanguageModel model, Generator[] generators, int[][] prompts, bool together)
    {
        const int steps = 3;
        List<float>[] logits = [.. prompts.Select(_ => new List<float>())];
        SequenceBatch batch = new(model.Decoder);
        for (int i = 0; i < prompts.Length; i++)
        {
            if (together)
            {
                generators[i].Sequence.AppendPending(prompts[i]);
                batch.Add(generators[i].Sequence);
            }
            else
            {
                generators[i].Append(prompts[i]);
            }
        }

        for (int step = 0; step < steps; step++)
        {
            while (together && batch.Step(CancellationToken.None) < prompts.Length)
            {
            }

            for (int i = 0; i < prompts.Length; i++)
            {
                logits[i].AddRange(generators[i].GetLogits());
                generators[i].Next();
            }
        }

        return [.. logits.Select(list => list.ToArray())];
    }

    // The logits after all tokens, appended in steps.
    private static float[] Run(LanguageModel model, int[] tokens, IReadOnlyList<LoraAdapter>? adapters, params int[] steps)
    {
        using Generator generator = model.CreateGenerator(new GenerationOptions { Adapters = adapters });
        List<float> all = [];
        foreach (int step in steps)
        {
            generator.AppendObserved(tokens.AsSpan(generator.Position, step), (_, logits) => all.AddRange(logits));
        }

        return [.. all];
    }

    private static bool Same(ReadOnlySpan<float> a, ReadOnlySpan<float> b) => MemoryMarshal.AsBytes(a).SequenceEqual(MemoryMarshal.AsBytes(b));

    private static double Distance(IEnumerable<float> a, IEnumerable<float> b) => Distance(a.Select(value => (double)value), b.Select(value => (double)value));

    private static double Distance(IEnumerable<double> a, IEnumerable<double> b) => Math.Sqrt(a.Zip(b, (x, y) => (x - y) * (x - y)).Average());

    private static void AssertClose(float[] expected, float[] found)
    {
        double rms = Math.Sqrt(expected.Average(value => (double)value * value));
        double worst = expected.Zip(found, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(worst <= Tolerance * rms, $"largest error {worst / rms:g3} of the root mean square");
    }
}
