using System.Runtime.InteropServices;
using System.Text.Json;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>Adapters in training, against the run of an independent implementation.</summary>
public sealed class LoraModelTests
{
    private static readonly string[] AllModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [MemberData(nameof(Tiers.All), MemberType = typeof(Tiers))]
    public void Training_OfTheGoldensTwelveSteps_IsTheGoldens(InstructionSet set)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/lora.json")));
        JsonElement golden = json.RootElement;
        TrainingSample[] samples = Samples(golden.GetProperty("untrained_prompt_tokens").GetInt32());
        using LanguageModel model = Load(set, threads: 2);
        using LoraModel lora = new(model, new LoraModelOptions(4, 8, 0, AllModules, 0));
        Fill(lora, "start", values => values);
        using TrainingState state = new(lora.Parameters);
        TrainingOptions options = new() { LearningRate = 2e-3, WarmupSteps = 3 };
        AdamW optimizer = new(options);
        foreach (JsonElement expected in golden.GetProperty("log").EnumerateArray())
        {
            int step = expected.GetProperty("step").GetInt32();
            foreach (TrainableParameter parameter in lora.Parameters)
            {
                parameter.Gradient.Floats(0, parameter.Length).Clear();
            }

            TrainingSample[] batch = [samples[2 * step % 10], samples[((2 * step) + 1) % 10]];
            int targets = batch.Sum(sample => sample.TargetCount);
            double loss = lora.Accumulate(batch, 1f / targets, 0, CancellationToken.None) / targets;
            double norm = GradientNorm.Of(lora.Parameters);
            Assert.Equal(1, loss / expected.GetProperty("loss").GetDouble(), 1e-4);
            Assert.Equal(1, norm / expected.GetProperty("gradient_norm").GetDouble(), 1e-3);
            double rate = LearningRate.At(options, step, 12);
            for (int i = 0; i < lora.Parameters.Count; i++)
            {
                TrainableParameter parameter = lora.Parameters[i];
                optimizer.Update(
                    parameter.Value.Floats(0, parameter.Length), parameter.Gradient.Floats(0, parameter.Length), state.Means[i].Floats(0, parameter.Length),
                    state.Squares[i].Floats(0, parameter.Length), step, rate, GradientNorm.ClipFactor(norm, 1), decays: true);
            }
        }

        int compared = 0;
        Fill(lora, "end", values =>
        {
            compared++;
            return values;
        }, compare: true);
        Assert.Equal(lora.Parameters.Count, compared);
    }

    [Fact]
    public void Gradient_OfAnyThreadCount_IsTheSame()
    {
        TrainingSample[] samples = [.. Samples(8).Take(3)];
        float[]? first = null;
        foreach (int threads in (int[])[1, 2, 3, 16])
        {
            using LanguageModel model = Load(InstructionSet.Best, threads);
            using LoraModel lora = new(model, new LoraModelOptions(4, 8, 0.1, AllModules, 7));
            Fill(lora, "start", values => values);
            lora.Accumulate(samples, 0.01f, 99, CancellationToken.None);
            float[] gradients = [.. lora.Parameters.SelectMany(parameter => parameter.Gradient.Floats(0, parameter.Length).ToArray())];
            first ??= gradients;
            Assert.Equal(first, gradients);
            Assert.Contains(gradients, gradient => gradient != 0);
        }
    }

    // The seed alone decides what is dropped, and dropping has the size that its rate says.
    [Fact]
    public void Dropout_OfASeed_IsAFunctionOfTheSeed()
    {
        TrainingSample[] samples = [.. Samples(8).Take(2)];
        using LanguageModel model = Load(InstructionSet.Best, 2);
        using LoraModel lora = new(model, new LoraModelOptions(4, 8, 0.5, AllModules, 7));
        Fill(lora, "end", values => values);
        double one = lora.Accumulate(samples, 1, 1, CancellationToken.None);
        double other = lora.Accumulate(samples, 1, 2, CancellationToken.None);
        double again = lora.Accumulate(samples, 1, 1, CancellationToken.None);
        Assert.Equal(one, again);
        Assert.NotEqual(one, other);
        Assert.NotEqual(one, lora.Evaluate(samples, CancellationToken.None));
        Assert.Equal(lora.Evaluate(samples, CancellationToken.None), lora.Evaluate(samples, CancellationToken.None));
    }

    // The adapter learns beside weights of any type, and what it learned holds for the model that generates.
    [Theory]
    [InlineData("models/stories260k", Quantization.None)]
    [InlineData("models/stories260k", Quantization.Q8)]
    [InlineData("models/stories260k", Quantization.Q4)]
    [InlineData("models/tiny-vicuna-bf16", Quantization.None)]
    [InlineData("models/tiny-vicuna-f16-sharded", Quantization.Q8)]
    public void Training_BesideStoredOrQuantizedWeights_LowersTheLoss(string folder, Quantization quantization)
    {
        using TempFolder output = new();
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require(folder), new LoadOptions { Threads = 2, Quantization = quantization, RemovedBlocks = [1] });
        TrainingSample[] samples = [.. Samples(8).Take(6)];
        HealOptions options = new() { Epochs = 4, BatchSize = 3, MicroBatchSize = 2, LearningRate = 5e-3, WarmupSteps = 0, ValidationSamples = 0 };
        TrainingReport report = LoraTrainer.Train(model, samples, output.File("adapter"), options);
        Assert.True(report.Losses.TakeLast(2).Average() < report.Losses.Take(2).Average() - 0.05, string.Join(", ", report.Losses));
        int[][] windows = [.. samples.Select(sample => sample.Ids.ToArray())];
        double before = Perplexity.Measure(model, windows).Perplexity;
        Assert.True(Perplexity.MeasureWithAdapters(model, [model.LoadAdapter(output.File("adapter"))], windows).Perplexity < 0.97 * before);
    }

    [Fact]
    public void Constructor_OfAGgufFile_RefusesIt()
    {
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require("models/gguf/stories260k-f32.gguf"), new LoadOptions { Threads = 1 });
        ArgumentException e = Assert.Throws<ArgumentException>(() => new LoraModel(model, new LoraModelOptions(4, 8, 0, AllModules, 7)));
        Assert.Contains("GGUF", e.Message, StringComparison.Ordinal);
    }

    private static LanguageModel Load(InstructionSet set, int threads) => LanguageModel.Load(
        SharedFolder.Require("models/stories260k"), new LoadOptions { Threads = threads, InstructionSet = set, RemovedBlocks = [3] });

    private static TrainingSample[] Samples(int promptTokens)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/stories260k.json")));
        return
        [
            .. json.RootElement.GetProperty("sensitivity").GetProperty("calibration_ids").EnumerateArray()
                .Select(row => new TrainingSample([.. row.EnumerateArray().Select(id => id.GetInt32())], promptTokens)),
        ];
    }

    private static void Fill(LoraModel lora, string file, Func<float[], float[]> seen, bool compare = false)
    {
        using MappedFile mapped = MappedFile.Open(SharedFolder.Require($"goldens/lora/{file}.safetensors"));
        Dictionary<string, StoredTensor> tensors = SafetensorsFile.Read(new ByteRegion(mapped, 0, mapped.Length), file).ToDictionary(tensor => tensor.Info.Name);
        foreach (TrainableParameter parameter in lora.Parameters)
        {
            StoredTensor tensor = tensors[parameter.Name];
            Assert.Equal(parameter.Shape, tensor.Info.Shape);
            float[] values = seen(MemoryMarshal.Cast<byte, float>(tensor.Region.Bytes(0, (int)tensor.Region.Length)).ToArray());
            Span<float> mine = parameter.Value.Floats(0, parameter.Length);
            for (int i = 0; compare && i < values.Length; i++)
            {
                Assert.Equal(values[i], mine[i], 1e-3);
            }

            values.CopyTo(mine);
        }
    }
}
