using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Checkpoints;

/// <summary>Quantization at load: of every container, of damaged weights, stopped half-way, and without the files afterwards.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class QuantizedLoadingTests
{
    private static readonly int[] Ids = [1, 300, 7, 42, 301];

    // What eight and four bits do to logits of random weights, whose attention is sharp: root mean square of the error as a part of the logits' own.
    // Logits that have nothing to do with each other have 1.4.
    private static readonly Dictionary<Quantization, double> Tolerances = new() { [Quantization.Q8] = 0.05, [Quantization.Q4] = 0.8 };

    public QuantizedLoadingTests()
    {
        // What earlier tests left for the finalizer must not be freed while these count.
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    public static TheoryData<string, Quantization> Containers()
    {
        TheoryData<string, Quantization> data = [];
        foreach (string model in (string[])
        [
            "models/stories260k", "models/tiny-vicuna-f16-sharded", "models/tiny-vicuna-bin", "models/tiny-vicuna-bf16", "models/gguf/stories260k-f32.gguf",
            .. new[] { "f16", "Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K" }.Select(type => $"models/gguf/tiny-vicuna-{type}.gguf"),
        ])
        {
            data.Add(model, Quantization.Q8);
            data.Add(model, Quantization.Q4);
        }

        return data;
    }

    public static TheoryData<TensorType, Quantization, InstructionSet> Shapes()
    {
        TheoryData<TensorType, Quantization, InstructionSet> data = [];
        foreach (TensorType type in new[] { TensorType.F32, TensorType.F16, TensorType.BF16 })
        {
            foreach (InstructionSet set in Tiers.Supported)
            {
                data.Add(type, Quantization.Q8, set);
                data.Add(type, Quantization.Q4, set);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Containers))]
    public void Load_OfEveryContainer_GeneratesNearTheExactLogits(string path, Quantization quantization)
    {
        string source = SharedFolder.Require(path);
        using LanguageModel exact = LanguageModel.Load(source, new LoadOptions { Threads = 2, ExactProducts = true });
        using LanguageModel model = LanguageModel.Load(source, new LoadOptions { Threads = 2, Quantization = quantization });
        Assert.Equal((quantization, Quantization.None), (model.Quantization, exact.Quantization));
        Assert.Equal((false, true), (model.ExactProducts, exact.ExactProducts));
        AssertNear(Logits(exact), Logits(model), Tolerances[quantization]);
        Assert.Equal(8, model.Generate(Ids, new GenerationOptions { Temperature = 0, MaxNewTokens = 8, IgnoreEndOfSequence = true }).TokenIds.Count);
    }

    // Widths that are no multiple of a group, rows that are no multiple of a block, a tied head, biases.
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Load_OfOddShapes_GivesNearlyTheExactLogits(TensorType type, Quantization quantization, InstructionSet set)
    {
        TinyShape odd = new() { Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 203, Vocab = 331, Type = type };
        foreach (TinyShape shape in new[] { odd, odd with { Tied = true }, odd with { AttentionBias = true, MlpBias = true }, odd with { Hidden = 18, Intermediate = 1 } })
        {
            TinyModel tiny = new(shape);
            using LanguageModel exact = tiny.Load();
            using LanguageModel model = tiny.Load(new LoadOptions { Threads = 3, Quantization = quantization, InstructionSet = set });
            AssertNear(Logits(exact), Logits(model), Tolerances[quantization]);
        }
    }

    [Theory]
    [InlineData(Quantization.Q8)]
    [InlineData(Quantization.Q4)]
    public void Load_CopiedThenWithoutFiles_ComputesTheSameBits(Quantization quantization)
    {
        foreach (bool tied in new[] { false, true })
        {
            using TempFolder folder = new();
            TinyModel tiny = new(new TinyShape { Vocab = 331, Tied = tied, Type = TensorType.F16 });
            tiny.Write(folder);
            float[] expected;
            using (LanguageModel mapped = LanguageModel.Load(folder.Path, new LoadOptions { Threads = 1, Quantization = quantization }))
            {
                expected = Logits(mapped);
            }

            using LanguageModel model = LanguageModel.Load(folder.Path, new LoadOptions { Threads = 2, Quantization = quantization, CopyToMemory = true, HugePages = tied });
            foreach (string file in Directory.GetFiles(folder.Path))
            {
                using (FileStream stream = new(file, FileMode.Truncate))
                {
                }

                File.Delete(file);
            }

            Assert.Equal(expected, Logits(model));
            using Generator generator = model.CreateGenerator();
            generator.Append(Ids);
            using MemoryStream saved = new();
            generator.Save(saved);
            Assert.NotEqual(0, saved.Length);
        }
    }

    [Theory]
    [InlineData("model.layers.1.self_attn.v_proj.weight", "block 1, v_proj", Quantization.Q8)]
    [InlineData("model.layers.0.mlp.down_proj.weight", "block 0, down_proj", Quantization.Q4)]
    [InlineData("lm_head.weight", "output head", Quantization.Q4)]
    public void Load_OfAWeightThatIsNotFinite_IsRefusedAndLeaksNothing(string name, string says, Quantization quantization)
    {
        foreach (float special in new[] { float.NaN, float.PositiveInfinity })
        {
            using TempFolder folder = new();
            TinyModel tiny = new(new TinyShape());
            tiny.Tensors[name].Values[^3] = special;
            tiny.Write(folder);
            foreach (bool copy in new[] { false, true })
            {
                long before = AlignedBuffer.AllocatedBytes;
                ModelFormatException found = Assert.Throws<ModelFormatException>(() =>
                    LanguageModel.Load(folder.Path, new LoadOptions { Threads = 2, Quantization = quantization, CopyToMemory = copy }));
                Assert.StartsWith($"{folder.Path}: {says}: expected finite weights to quantize", found.Message, StringComparison.Ordinal);
                Assert.Contains($"Row {tiny.Tensors[name].Shape[0] - 1} of", found.Message, StringComparison.Ordinal);
                Assert.Equal(before, AlignedBuffer.AllocatedBytes);
            }
        }
    }

    [Fact]
    public void Load_CancelledWhilePacking_StopsAndLeaksNothing()
    {
        using TempFolder folder = new();
        new TinyModel(new TinyShape { Layers = 5 }).Write(folder);
        foreach (bool copy in new[] { false, true })
        {
            long before = AlignedBuffer.AllocatedBytes;
            using CancellationTokenSource stop = new();
            int packed = 0;
            Listener listener = new(step =>
            {
                if (step.FileName.Contains("block 1, q_proj", StringComparison.Ordinal))
                {
                    stop.Cancel();
                }

                packed += step.FileName.Contains("_proj", StringComparison.Ordinal) ? 1 : 0;
            });
            Assert.ThrowsAny<OperationCanceledException>(() => LanguageModel.Load(
                folder.Path, new LoadOptions { Threads = 2, Quantization = Quantization.Q8, CopyToMemory = copy, Progress = listener }, stop.Token));
            Assert.Equal(8, packed);
            Assert.Equal(before, AlignedBuffer.AllocatedBytes);
        }
    }

    [Fact]
    public void Load_WhoseListenerThrows_LeaksNothing()
    {
        using TempFolder folder = new();
        new TinyModel(new TinyShape()).Write(folder);
        long before = AlignedBuffer.AllocatedBytes;
        Listener listener = new(step => _ = step.FileName.Contains("o_proj", StringComparison.Ordinal) ? throw new TimeoutException() : 0);
        Assert.Throws<TimeoutException>(() => LanguageModel.Load(folder.Path, new LoadOptions { Quantization = Quantization.Q4, Progress = listener }));
        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
    }

    [Theory]
    [InlineData(Quantization.Q8, false)]
    [InlineData(Quantization.Q4, true)]
    public void Load_WhilePacking_ReportsEveryMatrixUpToTheTotal(Quantization quantization, bool tied)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(new TinyShape { Tied = tied });
        tiny.Write(folder);
        List<LoadProgress> steps = [];
        using LanguageModel model = LanguageModel.Load(folder.Path, new LoadOptions { Quantization = quantization, Progress = new Listener(steps.Add) });
        LoadProgress[] packing = [.. steps.Where(step => step.FileName != "model.safetensors")];
        Assert.Equal((2 * 7) + 1, packing.Length);
        Assert.Equal(steps[^packing.Length..], packing);
        Assert.All(packing.Zip(packing.Skip(1)), pair => Assert.True(pair.First.BytesDone < pair.Second.BytesDone && pair.First.BytesTotal == pair.Second.BytesTotal));
        Assert.Equal(packing[^1].BytesTotal, packing[^1].BytesDone);
        long matrices = model.Info.Tensors.Where(tensor => tensor.Shape.Length == 2 && (tied || tensor.Name != "model.embed_tokens.weight")).Sum(tensor => tensor.ByteLength);
        Assert.Equal(matrices, packing[^1].BytesTotal);
    }

    [Theory]
    [InlineData(Quantization.Q8)]
    [InlineData(Quantization.Q4)]
    public void Load_ExactAndQuantized_IsRefusedNamingBoth(Quantization quantization)
    {
        ArgumentException found = Assert.Throws<ArgumentException>(() => new TinyModel(new TinyShape()).Load(new LoadOptions { ExactProducts = true, Quantization = quantization }));
        Assert.Contains(nameof(LoadOptions.ExactProducts), found.Message, StringComparison.Ordinal);
        Assert.Contains($"{nameof(LoadOptions.Quantization)}", found.Message, StringComparison.Ordinal);
        Assert.Contains($"{quantization}", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rewind_OfAQuantizedModel_GivesTheBitsOfTheFirstTime()
    {
        TinyModel tiny = new(new TinyShape { Hidden = 90, Heads = 9, KeyValueHeads = 3, Vocab = 331 });
        foreach (Quantization quantization in Tolerances.Keys)
        {
            using LanguageModel model = tiny.Load(new LoadOptions { Threads = 2, Quantization = quantization });
            using Generator generator = model.CreateGenerator();
            int[] tokens = tiny.RandomTokens(130);
            generator.Append(tokens);
            float[] expected = generator.GetLogits().ToArray();
            foreach (int position in new[] { 129, 64, 1, 0 })
            {
                generator.Rewind(position);
                generator.Append(tokens.AsSpan(position));
                Assert.Equal(expected, generator.GetLogits().ToArray());
            }
        }
    }

    private static float[] Logits(LanguageModel model)
    {
        using Generator generator = model.CreateGenerator();
        generator.Append(Ids);
        return generator.GetLogits().ToArray();
    }

    private static void AssertNear(float[] expected, float[] found, double tolerance)
    {
        double error = Math.Sqrt(expected.Zip(found, (a, b) => Math.Pow(a - b, 2)).Sum() / expected.Sum(value => (double)value * value));
        Assert.InRange(error, 1e-6, tolerance);
    }

    private sealed class Listener(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report(value);
    }
}
