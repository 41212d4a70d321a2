using System.Globalization;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.House;

/// <summary>The estimate of memory is not a guess: it is what is allocated, to the byte.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class MemoryEstimateTests
{
    public MemoryEstimateTests()
    {
        // What earlier tests left for the finalizer must not be freed while this one counts.
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    public static TheoryData<int, int, int> Cases() => new()
    {
        // Tokens, sequences, threads: one page, an exact page, one token into the next, the whole context.
        { 1, 3, 1 },
        { 64, 1, 2 },
        { 65, 2, 1 },
        { 512, 1, 3 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void EstimateMemory_OfARun_IsWhatTheRunAllocates(int tokens, int sequences, int threads)
    {
        MemoryEstimate estimate = LanguageModel.Inspect(PicoVicuna.Folder).EstimateMemory(tokens, sequences, threads);
        long before = AlignedBuffer.AllocatedBytes;
        using (LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = threads }))
        {
            Assert.Equal(estimate.WorkBytes, AlignedBuffer.AllocatedBytes - before);
            Generator[] generators = [.. Enumerable.Range(0, sequences).Select(_ => model.CreateGenerator())];
            foreach (Generator generator in generators)
            {
                generator.Append(Enumerable.Repeat(5, tokens).ToArray());
            }

            Assert.Equal(estimate.WorkBytes + estimate.SequenceBytes, AlignedBuffer.AllocatedBytes - before);
            Array.ForEach(generators, generator => generator.Dispose());
            Assert.Equal(estimate.WorkBytes, AlignedBuffer.AllocatedBytes - before);
        }

        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
    }

    [Theory]
    [InlineData(KeyValueType.F16)]
    [InlineData(KeyValueType.F32)]
    [InlineData(KeyValueType.Q8)]
    public void EstimateMemory_OfDecodedTokens_IsWhatTheRunAllocates(KeyValueType type)
    {
        long before = AlignedBuffer.AllocatedBytes;
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1, KeyValueType = type });
        Assert.Equal(type, model.Info.KeyValueType);
        using Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        generator.Append([1, 5, 6]);
        while (generator.Position < 130)
        {
            generator.Next();
        }

        // The last token has been chosen but not run: asking for what follows it runs it.
        generator.GetLogits();
        MemoryEstimate estimate = model.Info.EstimateMemory(130, threads: 1);
        MemoryEstimate inspected = (LanguageModel.Inspect(PicoVicuna.Folder) with { KeyValueType = type }).EstimateMemory(130, threads: 1);
        Assert.Equal(estimate, inspected);
        Assert.Equal(3 * 64 * model.Info.KeyValueBytesPerToken, estimate.SequenceBytes);
        Assert.Equal(estimate.TotalBytes - estimate.WeightBytes, AlignedBuffer.AllocatedBytes - before);
    }

    public static TheoryData<string?, Quantization, bool> Quantized()
    {
        TheoryData<string?, Quantization, bool> data = [];
        foreach (string? model in new[] { null, "models/stories260k", "models/tiny-vicuna-bin", "models/gguf/tiny-vicuna-Q4_K_M.gguf", "models/gguf/tiny-vicuna-Q8_0.gguf" })
        {
            data.Add(model, Quantization.Q8, false);
            data.Add(model, Quantization.Q4, false);
            data.Add(model, Quantization.None, true);
        }

        data.Add("models/gguf/tiny-vicuna-Q8_0.gguf", Quantization.None, false);
        data.Add("models/gguf/tiny-vicuna-Q4_0.gguf", Quantization.None, false);
        return data;
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void EstimateMemory_OfPackedWeights_IsWhatLoadingAllocates(string? shared, Quantization quantization, bool exact)
    {
        string path = shared is null ? PicoVicuna.Folder : SharedFolder.Require(shared);
        CheckpointInfo info = LanguageModel.Inspect(path) with { Quantization = quantization, ExactProducts = exact };
        MemoryEstimate estimate = info.EstimateMemory(1, threads: 2);
        long before = AlignedBuffer.AllocatedBytes;
        // Copied, all of it is memory of the process's own: nothing is left out, and nothing in memory twice.
        LoadOptions options = new() { Threads = 2, Quantization = quantization, ExactProducts = exact, CopyToMemory = true };
        using (LanguageModel model = LanguageModel.Load(path, options))
        {
            Assert.Equal(estimate, model.Info.EstimateMemory(1, threads: 2));
            long found = AlignedBuffer.AllocatedBytes - before - estimate.WorkBytes;
            // Unless something is packed, the files are copied as they are, headers and all.
            Assert.InRange(found, estimate.WeightBytes, estimate.WeightBytes + (exact ? 1 << 20 : 0));
        }

        long embedding = info.Tensors.Single(tensor => tensor.Name == "model.embed_tokens.weight").ByteLength;
        using (LanguageModel.Load(path, options with { CopyToMemory = false }))
        {
            long packed = AlignedBuffer.AllocatedBytes - before - estimate.WorkBytes;
            Assert.InRange(packed, 0, exact ? 0 : estimate.WeightBytes - embedding);
            Assert.True(exact || packed > estimate.WeightBytes / 3);
        }

        Assert.Equal(before, AlignedBuffer.AllocatedBytes);
    }

    [Theory]
    [InlineData("st-vicuna-v1.3-5.5b", "st-vicuna-5.5b", "5.5B")]
    [InlineData("vicuna-7b-v1.3", "vicuna-7b", "7B")]
    public void Readme_MemoryTable_IsWhatTheEstimateSays(string name, string preset, string size)
    {
        ModelConfig config = SyntheticCheckpoint.Config(preset);
        CheckpointInfo info = new()
        {
            Path = preset,
            Format = "safetensors",
            Config = config,
            Tensors = [.. ModelTensors.Of(config, TensorType.F16).Select(tensor =>
                new TensorInfo(tensor.Name, tensor.Type, [.. tensor.Shape], 2 * tensor.Shape.Aggregate((a, b) => a * b), "model.safetensors"))],
            Warnings = [],
        };
        string Weights(Quantization quantization) => Size((info with { Quantization = quantization }).EstimateMemory(1, threads: 8).WeightBytes);
        string Rest(int tokens) => Size(info.EstimateMemory(tokens, threads: 8) is var memory ? memory.WorkBytes + memory.SequenceBytes : 0);
        string row = $"| {name} | {Weights(Quantization.None)} | {Weights(Quantization.Q8)} | {Weights(Quantization.Q4)} | + {Rest(512)} | + {Rest(2048)} |";
        string readme = File.ReadAllText(RepositoryFolder.Find("README.md"));
        string work = $"({Size(info.EstimateMemory(1, threads: 8).WorkBytes)} with 8 threads)";
        string perToken = string.Create(CultureInfo.InvariantCulture, $"{info.KeyValueBytesPerToken / 1e6:0.00} MB ({size})");
        Assert.All([row, work, perToken], text => Assert.True(readme.Contains(text, StringComparison.Ordinal), text));
        static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB");
    }

    [Fact]
    public void WeightBytes_AreThoseOfTheTensors()
    {
        // Eight blocks of width 128, f16: two bytes a weight.
        CheckpointInfo info = LanguageModel.Inspect(PicoVicuna.Folder);
        Assert.Equal(info.ParameterCount * 2, info.EstimateMemory(1).WeightBytes);
        Assert.Equal(info.WeightBytes, info.EstimateMemory(1).WeightBytes);
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(513, 1, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(1, 1, 0)]
    public void EstimateMemory_OfNumbersOutOfRange_IsRefused(int tokens, int sequences, int threads) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => LanguageModel.Inspect(PicoVicuna.Folder).EstimateMemory(tokens, sequences, threads));
}
