using Vicuna.Managed.Adapters;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Compression;

public sealed class AdapterMergeTests
{
    private static readonly LoadOptions Exact = new() { Threads = 2, KeyValueType = KeyValueType.F32 };

    [Fact]
    public void Write_OfTheGoldenAdapter_GivesTheGoldenModel()
    {
        using TempFolder folder = new();
        LoraGolden golden = LoraGolden.Load(folder);
        MergeResult result = AdapterMerge.Write(golden.Model, [golden.Adapter], folder.File("merged"));
        Assert.Equal((folder.File("merged"), 28), (result.Path, result.Matrices));
        Assert.Equal(new DirectoryInfo(result.Path).EnumerateFiles().Sum(file => file.Length), result.Bytes);
        string[] names = [.. Directory.GetFiles(golden.Model).Select(file => Path.GetFileName(file))];
        Assert.Equal(names.Order(), Directory.GetFiles(result.Path).Select(file => Path.GetFileName(file)).Order());
        foreach (string same in names.Except(["model.safetensors"]))
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(golden.Model, same)), File.ReadAllBytes(Path.Combine(result.Path, same)));
        }

        using LanguageModel model = LanguageModel.Load(result.Path, Exact);
        using Generator generator = model.CreateGenerator();
        generator.Append(golden.Ids);
        Assert.True(golden.LastLogits.Zip(generator.GetLogits().ToArray(), (a, b) => Math.Abs(a - b)).Max() <= 1e-3);
        Assert.Equal(golden.NllAfter, Perplexity.Measure(model, [golden.Ids]).MeanNegativeLogLikelihood, 1e-5);
    }

    [Theory]
    [InlineData(TensorType.F32, 24)]
    [InlineData(TensorType.F16, 11)]
    [InlineData(TensorType.BF16, 8)]
    public void Write_OfEveryType_RoundsOnceAndLeavesTheRest(TensorType type, int bits)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(new TinyShape { Type = type, Hidden = 90, Heads = 9, KeyValueHeads = 3, Intermediate = 121 });
        PeftAdapter first = TinyAdapter.Random(ConfigOf(tiny), 5, seed: 1, BlockMatrix.Query, BlockMatrix.Down);
        PeftAdapter second = TinyAdapter.Random(ConfigOf(tiny), 2, seed: 2, BlockMatrix.Down);
        string[] paths = [TinyAdapter.Write(folder, first), TinyAdapter.Write(folder, second)];
        string model = tiny.Write(folder);
        Dictionary<string, float[]> before = Values(model);
        MergeResult result = AdapterMerge.Write(model, paths, folder.File("merged"));
        Assert.Equal(4, result.Matrices);
        TinyAdapter.MergeInto(tiny, first);
        TinyAdapter.MergeInto(tiny, second);
        Dictionary<string, float[]> after = Values(result.Path);
        Assert.Equal(before.Keys.Order(), after.Keys.Order());
        foreach ((string name, float[] found) in after)
        {
            if (!name.EndsWith("q_proj.weight", StringComparison.Ordinal) && !name.EndsWith("down_proj.weight", StringComparison.Ordinal))
            {
                Assert.Equal(before[name], found);
                continue;
            }

            float[] expected = tiny.Tensors[name].Values;
            for (int i = 0; i < found.Length; i++)
            {
                // Half a unit in the last place of the stored type, and what single precision loses before.
                double tolerance = (Math.Abs(expected[i]) * Math.Pow(2, -bits)) + 1e-6;
                Assert.True(Math.Abs(found[i] - expected[i]) <= tolerance, $"{name}, element {i}: expected {expected[i]}, found {found[i]}");
            }
        }
    }

    [Theory]
    [InlineData("models/tiny-vicuna-bin")]
    [InlineData("models/tiny-vicuna-f16-sharded")]
    [InlineData("models/tiny-vicuna-bf16")]
    public void Write_OfEveryContainer_ComputesWhatTheAdapterAtRunTimeDoes(string container)
    {
        using TempFolder folder = new();
        string source = SharedFolder.Require(container);
        using LanguageModel model = LanguageModel.Load(source, Exact);
        string adapter = TinyAdapter.Write(folder, TinyAdapter.Random(model.Config, 4, seed: 3));
        MergeResult result = AdapterMerge.Write(source, [adapter], folder.File("merged"));
        Assert.All(Directory.GetFiles(result.Path), file => Assert.False(file.EndsWith(".bin", StringComparison.Ordinal)));
        using LanguageModel merged = LanguageModel.Load(result.Path, Exact);
        Assert.Equal("safetensors", merged.Info.Format);
        Assert.Equal(model.Config.ParameterCount, merged.Config.ParameterCount);
        float[] expected = Last(model, model.LoadAdapter(adapter));
        float[] found = Last(merged);
        double change = Distance(expected, Last(model));
        Assert.True(Distance(expected, found) < 0.05 * change, $"{Distance(expected, found)} of {change}");
    }

    [Theory]
    [InlineData("models/gguf/tiny-vicuna-Q8_0.gguf", "Q8_0")]
    [InlineData("models/gguf/tiny-vicuna-Q4_K_M.gguf", "_K")]
    [InlineData("models/gguf/tiny-vicuna-f16.gguf", "convert")]
    public void Write_OfAGgufFile_IsRefusedAndSaysWhy(string file, string said)
    {
        using TempFolder folder = new();
        string model = SharedFolder.Require(file);
        string adapter = TinyAdapter.Write(folder, TinyAdapter.Random(LanguageModel.Inspect(model).Config, 2, seed: 1));
        Assert.Contains(said, Refused<ModelFormatException>(folder, model, adapter), StringComparison.Ordinal);
    }

    [Fact]
    public void Write_OfASumBeyondTheType_NamesTheTensorAndLeavesNothing()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(new TinyShape { Type = TensorType.F16 });
        LoraPair pair = new(1, "mlp.up_proj", 1, [.. Enumerable.Repeat(300f, 32)], [.. Enumerable.Repeat(300f, 56)]);
        string adapter = TinyAdapter.Write(folder, new PeftAdapter(new PeftConfig { Rank = 1, Alpha = 1, TargetModules = [] }, [pair]));
        string message = Refused<ModelFormatException>(folder, tiny.Write(folder), adapter);
        Assert.Contains("model.layers.1.mlp.up_proj.weight", message, StringComparison.Ordinal);
        Assert.Contains("F16", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_ThatCannotBeDone_LeavesNothing()
    {
        using TempFolder folder = new();
        using TempFolder output = new();
        TinyModel tiny = new(new TinyShape());
        string model = tiny.Write(folder);
        string adapter = TinyAdapter.Write(folder, TinyAdapter.Random(ConfigOf(tiny), 2, seed: 1));
        string other = TinyAdapter.Write(folder, TinyAdapter.Random(ConfigOf(new TinyModel(new TinyShape { Hidden = 64 })), 2, seed: 1));
        Assert.Contains("expected shape [2, 32]", Refused<ModelFormatException>(folder, model, other), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => AdapterMerge.Write(model, [], output.File("x")));
        Assert.Throws<FileNotFoundException>(() => AdapterMerge.Write(folder.File("none"), [adapter], output.File("x")));
        Assert.ThrowsAny<OperationCanceledException>(() => AdapterMerge.Write(model, [adapter], output.File("x"), null, new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFileSystemEntries(output.Path));
        output.Write("mine", "text");
        Assert.Throws<IOException>(() => AdapterMerge.Write(model, [adapter], output.Path));
        Assert.Equal("text", File.ReadAllText(output.File("mine")));
    }

    private static string Refused<T>(TempFolder folder, string model, string adapter)
        where T : Exception
    {
        string[] before = Directory.GetFileSystemEntries(folder.Path);
        string message = Assert.Throws<T>(() => AdapterMerge.Write(model, [adapter], folder.File("merged"))).Message;
        Assert.Equal(before.Order(), Directory.GetFileSystemEntries(folder.Path).Order());
        return message;
    }

    private static ModelConfig ConfigOf(TinyModel model) => ConfigReader.Read(model.Files()["config.json"], "config.json");

    private static Dictionary<string, float[]> Values(string folder)
    {
        using MappedFile file = MappedFile.Open(Path.Combine(folder, "model.safetensors"));
        return SafetensorsFile.Read(file.Region, "model.safetensors").ToDictionary(tensor => tensor.Info.Name, tensor =>
        {
            float[] values = new float[tensor.Info.ElementCount];
            Managed.Kernels.Formats.WeightFormats.Find(tensor.Info.Type.ToString().ToLowerInvariant())!
                .Dequantize(tensor.Region.Bytes(0, (int)tensor.Region.Length), values);
            return values;
        });
    }

    private static float[] Last(LanguageModel model, params LoraAdapter[] adapters)
    {
        using Generator generator = model.CreateGenerator(new GenerationOptions { Adapters = adapters });
        generator.Append([1, .. Enumerable.Range(300, 20)]);
        return generator.GetLogits().ToArray();
    }

    private static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => Math.Pow(x - y, 2)).Average());
}
