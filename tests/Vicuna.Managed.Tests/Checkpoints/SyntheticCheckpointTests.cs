using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Checkpoints;

public sealed class SyntheticCheckpointTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("st-vicuna-5.5b", 5_524_115_456)]
    [InlineData("vicuna-7b", 6_738_415_616)]
    [InlineData("tinyllama-1.1b", 1_100_048_384)]
    public void Config_OfAPreset_HasThePublishedNumberOfParameters(string preset, long parameters)
    {
        Assert.Contains(preset, SyntheticCheckpoint.Presets);
        Assert.Equal(parameters, SyntheticCheckpoint.Config(preset).ParameterCount);
        Assert.Equal(parameters, ModelTensors.Of(SyntheticCheckpoint.Config(preset), TensorType.F16).Sum(tensor => tensor.Shape.Aggregate(1L, (a, b) => a * b)));
    }

    [Theory]
    [InlineData("st-vicuna-5.5b", 2)]
    [InlineData("vicuna-7b", 2)]
    [InlineData("tinyllama-1.1b", 1)]
    public void Split_OfAPresetAtTenGigabytes_GivesThePublishedNumberOfFiles(string preset, int files) =>
        Assert.Equal(files, WeightShards.Split(ModelTensors.Of(SyntheticCheckpoint.Config(preset), TensorType.F16), 10_000_000_000).Count);

    [Fact]
    public void Write_OfTiny_LoadsAndGeneratesFiniteText()
    {
        SyntheticCheckpointInfo written = SyntheticCheckpoint.Write("tiny", _temp.File("model"));
        Assert.Equal(_temp.File("model"), written.Path);
        Assert.Equal(Directory.GetFiles(written.Path).Sum(file => new FileInfo(file).Length), written.Bytes);
        Assert.InRange(written.Bytes, 2 * written.Parameters, 5_000_000);
        Assert.Equal(["model"], Entries());

        CheckpointInfo info = LanguageModel.Inspect(written.Path);
        Assert.Equal(written.Parameters, info.ParameterCount);
        Assert.Equal(2 * written.Parameters, info.WeightBytes);
        Assert.Empty(info.Warnings);
        Assert.Equal(SyntheticCheckpoint.Config("tiny") with { EosTokenIds = [] }, info.Config with { EosTokenIds = [] });

        using LanguageModel model = LanguageModel.Load(written.Path);
        Assert.Equal([2], model.EndOfSequenceIds);
        using Generator generator = model.CreateGenerator(new GenerationOptions { Temperature = 0 });
        generator.AppendText("bada ku");
        for (int i = 0; i < 64; i++)
        {
            Assert.InRange(generator.Next(), 0, 1023);
            foreach (float logit in generator.GetLogits())
            {
                Assert.True(float.IsFinite(logit) && Math.Abs(logit) < 100, $"logit {logit}");
            }
        }

        GenerationResult result = model.Generate("bada ku", new GenerationOptions { MaxNewTokens = 16, IgnoreEndOfSequence = true });
        Assert.Equal(16, result.TokenIds.Count);
        Assert.NotEmpty(result.Text);
    }

    [Fact]
    public void Weights_OfTiny_AreNormalWithDeviation002AndGainsAreOne()
    {
        string path = SyntheticCheckpoint.Write("tiny", _temp.File("model"), seed: 5).Path;
        double sum = 0;
        double squares = 0;
        double beyond = 0;
        int count = 0;
        foreach ((string name, float[] values) in Tensors(Path.Combine(path, "model.safetensors")))
        {
            if (name.EndsWith("norm.weight", StringComparison.Ordinal))
            {
                Assert.All(values, value => Assert.Equal(1, value));
                continue;
            }

            count += values.Length;
            sum += values.Sum(value => (double)value);
            squares += values.Sum(value => (double)value * value);
            beyond += values.Count(value => Math.Abs(value) > 0.04);
        }

        Assert.True(count > 900_000);
        Assert.Equal(0, sum / count, 1e-4);
        Assert.Equal(0.02, Math.Sqrt(squares / count), 1e-4);
        Assert.Equal(0.0455, beyond / count, 2e-3);
    }

    [Fact]
    public void Write_WithTheSameSeed_GivesTheSameBytesAndAnotherSeedOthers()
    {
        string[] paths = [.. new[] { ("a", 7), ("b", 7), ("c", 8) }.Select(item => SyntheticCheckpoint.Write("tiny", _temp.File(item.Item1), item.Item2).Path)];
        string[] hashes = [.. paths.Select(Hash)];
        Assert.Equal(hashes[0], hashes[1]);
        Assert.NotEqual(hashes[0], hashes[2]);
    }

    [Fact]
    public void Write_InSmallShards_IndexesThemAndHoldsTheSameWeights()
    {
        ModelConfig config = SyntheticCheckpoint.Config("tiny");
        string whole = SyntheticCheckpoint.Write("tiny", _temp.File("whole"), 3).Path;
        string sharded = SyntheticCheckpoint.WriteSharded(config, _temp.File("sharded"), 3, maxShardBytes: 400_000, null, default).Path;
        string[] files = [.. Directory.GetFiles(sharded, "*.safetensors").Order(StringComparer.Ordinal)];
        Assert.InRange(files.Length, 3, 9);
        IEnumerable<string> names = Enumerable.Range(1, files.Length).Select(i => $"model-{i:D5}-of-{files.Length:D5}.safetensors");
        Assert.Equal(names, files.Select(file => Path.GetFileName(file)));
        Assert.All(files, file => Assert.InRange(new FileInfo(file).Length, 1, 400_000 + 4096));

        using JsonDocument index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(sharded, "model.safetensors.index.json")));
        Assert.Equal(2 * config.ParameterCount, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Dictionary<string, float[]> expected = Tensors(Path.Combine(whole, "model.safetensors")).ToDictionary();
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), index.RootElement.GetProperty("weight_map").EnumerateObject().Select(item => item.Name));
        foreach (string file in files)
        {
            foreach ((string name, float[] values) in Tensors(file))
            {
                Assert.Equal(Path.GetFileName(file), index.RootElement.GetProperty("weight_map").GetProperty(name).GetString());
                Assert.Equal(expected[name], values);
            }
        }

        CheckpointInfo info = LanguageModel.Inspect(sharded);
        Assert.Equal(config.ParameterCount, info.ParameterCount);
        Assert.Empty(info.Warnings);
    }

    [Fact]
    public void WriteShape_WithBiasesTiedEmbeddingAndScaling_IsReadBackAsTheSameShape()
    {
        ModelConfig config = SyntheticCheckpoint.Config("tiny") with
        {
            NumHiddenLayers = 1,
            VocabSize = SyntheticVocabulary.MinPieces,
            HeadDim = 6,
            AttentionBias = true,
            MlpBias = true,
            TieWordEmbeddings = true,
            RopeTheta = 500_000.5,
            RopeScaling = new RopeScaling
            {
                Kind = RopeScalingKind.Llama3, Factor = 8, LowFreqFactor = 1.5, HighFreqFactor = 3, OriginalMaxPositionEmbeddings = 64,
            },
            EosTokenIds = [2, 5],
        };
        SyntheticCheckpointInfo written = SyntheticCheckpoint.WriteShape(config, _temp.File("model"));
        CheckpointInfo info = LanguageModel.Inspect(written.Path);
        Assert.Equal(config with { EosTokenIds = [] }, info.Config with { EosTokenIds = [] });
        Assert.Equal([2, 5], info.Config.EosTokenIds);
        Assert.Equal(2 * config.ParameterCount, info.WeightBytes);
        Assert.Empty(info.Warnings);
    }

    [Fact]
    public void ConfigWriter_OfMistralWithAWindow_IsReadBackAsTheSameShape()
    {
        ModelConfig config = SyntheticCheckpoint.Config("tiny") with
        {
            ModelType = "mistral",
            SlidingWindow = 100,
            RopeScaling = new RopeScaling { Kind = RopeScalingKind.Linear, Factor = 2.5 },
            BosTokenId = null,
            EosTokenIds = [],
        };
        Assert.Equal(config, ConfigReader.Read(ConfigWriter.Write(config, "float16"), "config.json"));
    }

    [Fact]
    public void Write_IntoAnEmptyFolder_FillsIt()
    {
        Directory.CreateDirectory(_temp.File("empty"));
        SyntheticCheckpoint.Write("tiny", _temp.File("empty") + Path.DirectorySeparatorChar);
        Assert.True(File.Exists(Path.Combine(_temp.File("empty"), "model.safetensors")));
        Assert.Equal(["empty"], Entries());
    }

    [Fact]
    public void Write_OverAFileOrAFullFolder_IsRefusedAndChangesNothing()
    {
        Directory.CreateDirectory(_temp.File("full"));
        _temp.Write("full/mine.txt", "x");
        _temp.Write("file", "y");
        IOException full = Assert.Throws<IOException>(() => SyntheticCheckpoint.Write("tiny", _temp.File("full")));
        IOException file = Assert.Throws<IOException>(() => SyntheticCheckpoint.Write("tiny", _temp.File("file")));
        Assert.Contains("'mine.txt'", full.Message, StringComparison.Ordinal);
        Assert.Contains("found a file", file.Message, StringComparison.Ordinal);
        Assert.Equal(["file", "full"], Entries());
        Assert.Equal("x", File.ReadAllText(_temp.File("full/mine.txt")));
    }

    [Fact]
    public void Write_CancelledOrFailedHalfWay_LeavesNothing()
    {
        using CancellationTokenSource source = new();
        Report progress = new(value =>
        {
            if (value.BytesDone > 500_000)
            {
                source.Cancel();
            }
        });
        Assert.Throws<OperationCanceledException>(() => SyntheticCheckpoint.Write("tiny", _temp.File("model"), 0, progress, source.Token));
        Assert.Throws<InvalidDataException>(() => SyntheticCheckpoint.Write("tiny", _temp.File("model"), 0, new Report(_ => throw new InvalidDataException())));
        Assert.Empty(Entries());
    }

    [Fact]
    public void Write_ReportsEveryByteOnce()
    {
        List<LoadProgress> reports = [];
        long bytes = 2 * SyntheticCheckpoint.Write("tiny", _temp.File("model"), 0, new Report(reports.Add)).Parameters;
        Assert.Equal(bytes, reports[^1].BytesDone);
        Assert.Equal(reports.Select(report => report.BytesDone).Order(), reports.Select(report => report.BytesDone));
        Assert.All(reports, report => Assert.Equal(("model.safetensors", bytes), (report.FileName, report.BytesTotal)));
    }

    [Fact]
    public void Write_OfMoreThanTheDiskHolds_IsRefusedWithBothNumbersBeforeAnyWork()
    {
        ModelConfig huge = SyntheticCheckpoint.Config("vicuna-7b") with { NumHiddenLayers = 1 << 14, IntermediateSize = 1 << 22 };
        string message = Assert.Throws<IOException>(() => SyntheticCheckpoint.WriteShape(huge, _temp.File("a/b/huge"))).Message;
        Assert.Contains($"expected {(2 * huge.ParameterCount) + (64 << 20)} bytes of free disk space, found ", message, StringComparison.Ordinal);
        Assert.Empty(Entries());
    }

    [Fact]
    public void Write_OfWhatCannotBe_IsRefused()
    {
        ArgumentException unknown = Assert.Throws<ArgumentException>(() => SyntheticCheckpoint.Write("nothing", _temp.File("m")));
        Assert.Contains("tinyllama-1.1b", unknown.Message, StringComparison.Ordinal);
        ModelConfig tiny = SyntheticCheckpoint.Config("tiny");
        Assert.Throws<ArgumentOutOfRangeException>(() => SyntheticCheckpoint.WriteShape(tiny with { VocabSize = 353 }, _temp.File("m")));
        Assert.Throws<ArgumentOutOfRangeException>(() => SyntheticCheckpoint.WriteShape(tiny with { VocabSize = 1_000_001 }, _temp.File("m")));
        Assert.Throws<ModelFormatException>(() => SyntheticCheckpoint.WriteShape(tiny with { NumKeyValueHeads = 3 }, _temp.File("m")));
        Assert.Empty(Entries());
    }

    private string[] Entries() => [.. Directory.GetFileSystemEntries(_temp.Path).Select(entry => Path.GetFileName(entry)).Order(StringComparer.Ordinal)];

    private static string Hash(string folder)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(File.ReadAllBytes(file));
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    // The header read by hand, so that the reader is not its own witness.
    private static IEnumerable<KeyValuePair<string, float[]>> Tensors(string file)
    {
        byte[] bytes = File.ReadAllBytes(file);
        int header = (int)BitConverter.ToInt64(bytes);
        using JsonDocument json = JsonDocument.Parse(bytes.AsMemory(8, header));
        foreach (JsonProperty item in json.RootElement.EnumerateObject().Where(item => item.Name != "__metadata__"))
        {
            Assert.Equal("F16", item.Value.GetProperty("dtype").GetString());
            int[] offsets = [.. item.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt32())];
            float[] values = new float[(offsets[1] - offsets[0]) / 2];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (float)BitConverter.ToHalf(bytes, 8 + header + offsets[0] + (2 * i));
            }

            yield return new(item.Name, values);
        }
    }

    private sealed class Report(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        void IProgress<LoadProgress>.Report(LoadProgress value) => report(value);
    }
}
