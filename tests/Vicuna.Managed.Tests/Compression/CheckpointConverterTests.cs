using System.Text.Json;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Conversion;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Compression;

public sealed class CheckpointConverterTests : IDisposable
{
    private static readonly int[] Ids = [1, 30, 7, 42, 31, 9, 2, 88];

    private static readonly Dictionary<string, TinyShape> Shapes = new()
    {
        ["grouped heads"] = new() { Heads = 4, KeyValueHeads = 2, HeadDim = 6 },
        ["tied"] = new() { Tied = true, HasTokenizer = true, Vocab = 1030 },
        ["biases"] = new() { AttentionBias = true, MlpBias = true, KeyValueHeads = 1 },
        ["linear scaling"] = new() { Extra = "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}, \"rope_theta\": 500000.0" },
        ["window"] = new() { ModelType = "mistral", SlidingWindow = 5 },
        ["half"] = new() { Type = TensorType.F16, HasTokenizer = true, Vocab = 1024 },
    };

    private readonly TempFolder _temp = new();

    public static TheoryData<string> ShapeNames => [.. Shapes.Keys];

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("stories260k", "stories260k-f32.gguf", TensorType.F32, 0)]
    [InlineData("tiny-vicuna-f16-sharded", "tiny-vicuna-f16.gguf", TensorType.F16, 0)]
    [InlineData("tiny-vicuna-bin", "tiny-vicuna-f16.gguf", TensorType.F16, 0)]
    [InlineData("gguf/tiny-vicuna-f16.gguf", "tiny-vicuna-f16.gguf", TensorType.F16, 0)]
    [InlineData("tiny-vicuna-f16-sharded", "tiny-vicuna-Q8_0.gguf", TensorType.Q8_0, 0)]
    [InlineData("gguf/tiny-vicuna-f16.gguf", "tiny-vicuna-Q8_0.gguf", TensorType.Q8_0, 0)]
    [InlineData("tiny-vicuna-f16-sharded", "tiny-vicuna-Q4_0.gguf", TensorType.Q4_0, 1)]
    public void Convert_ToGguf_GivesTheBitsOfLlamaCpp(string source, string pattern, TensorType type, int otherHeads)
    {
        // llama.cpp stores the head of a Q4_0 file as Q6_K, which is not written here: as Q8_0 it is closer to the original.
        Dictionary<string, (TensorType Type, string Bytes)> expected = ModelBytes.Tensors(SharedFolder.Require($"models/gguf/{pattern}"));
        ConvertResult result = Gguf(SharedFolder.Require($"models/{source}"), type);
        Dictionary<string, (TensorType Type, string Bytes)> found = ModelBytes.Tensors(result.Path);
        string[] different = [.. expected.Keys.Union(found.Keys).Where(name => expected.GetValueOrDefault(name) != found.GetValueOrDefault(name))];
        Assert.Equal(otherHeads == 0 ? [] : ["lm_head.weight"], different);
        Assert.Equal((expected.Count, new FileInfo(result.Path).Length), (result.Tensors, result.Bytes));
        CheckpointInfo info = LanguageModel.Inspect(result.Path);
        CheckpointInfo patternInfo = LanguageModel.Inspect(SharedFolder.Require($"models/gguf/{pattern}"));
        Assert.Equal(patternInfo.Config with { EosTokenIds = [] }, info.Config with { EosTokenIds = [] });
        Assert.Equal(patternInfo.Config.EosTokenIds, info.Config.EosTokenIds);
    }

    [Theory]
    [InlineData("tiny-vicuna-f16-sharded", TensorType.F16, "tiny-vicuna-f16.gguf")]
    [InlineData("tiny-vicuna-f16-sharded", TensorType.Q8_0, "tiny-vicuna-Q8_0.gguf")]
    [InlineData("gguf/tiny-vicuna-Q8_0.gguf", TensorType.Q8_0, "tiny-vicuna-Q8_0.gguf")]
    [InlineData("gguf/tiny-vicuna-Q4_K_M.gguf", TensorType.F32, "tiny-vicuna-Q4_K_M.gguf")]
    [InlineData("gguf/tiny-vicuna-Q5_K_M.gguf", TensorType.F32, "tiny-vicuna-Q5_K_M.gguf")]
    [InlineData("gguf/tiny-vicuna-Q6_K.gguf", TensorType.F32, "tiny-vicuna-Q6_K.gguf")]
    public void Convert_ToGguf_GivesTheLogitsOfTheGoldens(string source, TensorType type, string golden) =>
        CheckGolden(Gguf(SharedFolder.Require($"models/{source}"), type).Path, golden);

    [Theory]
    [InlineData("gguf/tiny-vicuna-Q4_K_M.gguf", "tiny-vicuna-Q4_K_M.gguf")]
    [InlineData("gguf/tiny-vicuna-Q4_0.gguf", "tiny-vicuna-Q4_0.gguf")]
    public void Convert_OfGgufToSafetensors_GivesTheLogitsOfTheGoldens(string source, string golden) =>
        CheckGolden(Folder(SharedFolder.Require($"models/{source}"), TensorType.F32, "out").Path, golden);

    [Theory]
    [InlineData("tiny-vicuna-f16-sharded", TensorType.F16)]
    [InlineData("tiny-vicuna-bf16", TensorType.BF16)]
    [InlineData("stories260k", TensorType.F32)]
    public void Convert_ToGgufAndBack_KeepsEveryBitAndTheTokenizer(string name, TensorType type)
    {
        string source = SharedFolder.Require($"models/{name}");
        ConvertResult back = Folder(Gguf(source, type).Path, type, "back");

        // Gains are F32 on the way, which holds all that F16 and BF16 hold.
        Assert.Equal(Sorted(ModelBytes.Tensors(source)), Sorted(ModelBytes.Tensors(back.Path)));
        CheckpointInfo info = LanguageModel.Inspect(back.Path);
        CheckpointInfo before = LanguageModel.Inspect(source);
        Assert.Equal(before.Config with { EosTokenIds = [] }, info.Config with { EosTokenIds = [] });
        Assert.Equal(before.Config.EosTokenIds, info.Config.EosTokenIds);
        Assert.Empty(info.Warnings);
        using LanguageModel one = LanguageModel.Load(source, new LoadOptions { Threads = 1 });
        using LanguageModel other = LanguageModel.Load(back.Path, new LoadOptions { Threads = 1 });
        foreach (string text in new[] { "Once upon a time", "  two spaces  ", "naïve 😀\n", string.Empty })
        {
            Assert.Equal(one.Tokenizer.Encode(text, true), other.Tokenizer.Encode(text, true));
        }

        Assert.Equal(ModelBytes.Logits(one, Ids), ModelBytes.Logits(other, Ids));
    }

    [Theory]
    [MemberData(nameof(ShapeNames))]
    public void Convert_OfUnusualShapes_ThereAndBack_IsTheSameModel(string shape)
    {
        TinyModel tiny = new(Shapes[shape]);
        TensorType type = tiny.Shape.Type;
        string source = Written(tiny);
        ConvertResult gguf = Gguf(source, type);
        ConvertResult back = Folder(gguf.Path, type, "back");
        Assert.Equal(Sorted(ModelBytes.Tensors(source)), Sorted(ModelBytes.Tensors(back.Path)));
        LoadOptions exact = new() { KeyValueType = KeyValueType.F32 };
        float[][] expected = ModelBytes.Logits(source, Ids, exact);
        Assert.Equal(expected, ModelBytes.Logits(back.Path, Ids, exact));

        // Rotated in another order, sums of a head come in another order.
        AssertClose(expected, ModelBytes.Logits(gguf.Path, Ids, exact), 1e-4);
        Assert.Equal(tiny.Shape.Tied, LanguageModel.Inspect(gguf.Path).Config.TieWordEmbeddings);
        Assert.Equal(tiny.Shape.Tied, LanguageModel.Inspect(back.Path).Config.TieWordEmbeddings);
    }

    [Fact]
    public void Convert_OfLlama3Scaling_PutsFactorsIntoGgufAndRefusesTheWayBack()
    {
        string source = Written(new TinyModel(new TinyShape
        {
            Extra = "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}",
        }));
        ConvertResult gguf = Gguf(source, TensorType.F32);
        Assert.Contains("rope_freqs.weight", ModelBytes.Tensors(gguf.Path).Keys);
        LoadOptions exact = new() { KeyValueType = KeyValueType.F32 };
        AssertClose(ModelBytes.Logits(source, Ids, exact), ModelBytes.Logits(gguf.Path, Ids, exact), 1e-4);
        Assert.Equal(gguf.Tensors, CheckpointConverter.Convert(gguf.Path, _temp.File("again.gguf"), new ConvertOptions { Container = ModelContainer.Gguf, Type = TensorType.F16 }).Tensors);
        Assert.Contains("rope_freqs.weight", Assert.Throws<ModelFormatException>(() => Folder(gguf.Path, TensorType.F32, "back")).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_temp.File("back")));
    }

    [Theory]
    [InlineData(TensorType.Q8_0, 0.03)]
    [InlineData(TensorType.Q4_0, 0.3)]
    public void Convert_OfTiedOrOddlyShapedWeights_FallsBackAsLlamaCppDoes(TensorType type, double tolerance)
    {
        string source = SharedFolder.Require("models/stories260k");
        ConvertResult result = Gguf(source, type);
        Dictionary<string, (TensorType Type, string Bytes)> tensors = ModelBytes.Tensors(result.Path);

        // 172 columns are no whole blocks; the embedding is the head too.
        Assert.All(tensors.Where(item => item.Key.EndsWith("down_proj.weight", StringComparison.Ordinal)), item => Assert.Equal(TensorType.F16, item.Value.Type));
        Assert.All(tensors.Where(item => item.Key.EndsWith("norm.weight", StringComparison.Ordinal)), item => Assert.Equal(TensorType.F32, item.Value.Type));
        Assert.Equal(TensorType.Q8_0, tensors["model.embed_tokens.weight"].Type);
        Assert.Equal(type, tensors["model.layers.0.mlp.up_proj.weight"].Type);
        Assert.DoesNotContain("lm_head.weight", tensors.Keys);
        LoadOptions exact = new() { KeyValueType = KeyValueType.F32, ExactProducts = true };
        AssertClose(ModelBytes.Logits(source, Ids, exact), ModelBytes.Logits(result.Path, Ids, exact), tolerance);
    }

    [Fact]
    public void Convert_OfATokenizerOfAnotherKind_IsRefusedUnlessItsFilesCome()
    {
        TinyModel tiny = new(new TinyShape());
        tiny.TextFiles["tokenizer.json"] = "{}";
        string source = Written(tiny);
        Assert.Contains("tokenizer.model", Assert.Throws<ModelFormatException>(() => Gguf(source, TensorType.F16)).Message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Folder(source, TensorType.F16, "half").Path, "tokenizer.json")));

        // The list of named templates that later files have is none that GGUF has a key for.
        tiny = new TinyModel(new TinyShape { HasTokenizer = true, Vocab = 1024 });
        tiny.TextFiles["tokenizer_config.json"] = "{\"chat_template\": [{\"name\": \"default\", \"template\": \"USER: ASSISTANT:\"}]}";
        string named = Written(tiny, "named");
        string back = Folder(Gguf(named, TensorType.F32).Path, TensorType.F32, "back").Path;
        Assert.DoesNotContain("chat_template", File.ReadAllText(Path.Combine(back, "tokenizer_config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_OfAModelThatNoConfigDescribes_IsRefused()
    {
        // A window is Mistral's, biases are Llama's: GGUF's one architecture has both.
        TinyModel tiny = new(new TinyShape { AttentionBias = true });
        string gguf = Gguf(Written(tiny), TensorType.F32).Path;
        ModelConfig both = LanguageModel.Inspect(gguf).Config with { SlidingWindow = 5 };
        Assert.Contains("a config.json can describe", Assert.Throws<ModelFormatException>(() => FolderOfGguf.Config(both, "model.gguf", "float32")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_OfAFolder_ToAnotherType_KeepsItsFilesAndKeys()
    {
        TinyModel tiny = new(new TinyShape { HasTokenizer = true, Vocab = 1024 });
        tiny.Config["torch_dtype"] = "float32";
        tiny.Config["unknown"] = 5;
        tiny.Tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = TinyTensor.Rounded(TensorType.F32, [4], [1, 2, 3, 4]);
        tiny.TextFiles["tokenizer_config.json"] = "{\"chat_template\": \"USER: {{ x }} ASSISTANT:\", \"add_bos_token\": false}";
        tiny.TextFiles["generation_config.json"] = "{\"eos_token_id\": [2, 5, 7]}";
        string source = Written(tiny);
        ConvertResult half = Folder(source, TensorType.BF16, "half");
        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(half.Path, "config.json")));
        Assert.Equal("bfloat16", config.RootElement.GetProperty("torch_dtype").GetString());
        Assert.Equal(5, config.RootElement.GetProperty("unknown").GetInt32());
        Assert.Equal(tiny.TextFiles["generation_config.json"], File.ReadAllText(Path.Combine(half.Path, "generation_config.json")));
        Dictionary<string, (TensorType Type, string Bytes)> tensors = ModelBytes.Tensors(half.Path);
        Assert.All(tensors.Values, tensor => Assert.Equal(TensorType.BF16, tensor.Type));
        Assert.Equal(tiny.Tensors.Count - 1, tensors.Count);

        // What a folder says beside its tokenizer.model, GGUF has keys for.
        ConvertResult gguf = Gguf(source, TensorType.F32);
        using LanguageModel model = LanguageModel.Load(gguf.Path, new LoadOptions { Threads = 1 });
        Assert.Equal([2, 5, 7], model.EndOfSequenceIds.Order());
        Assert.False(model.Tokenizer.AddBos);
        ConvertResult back = Folder(gguf.Path, TensorType.F32, "back");
        using JsonDocument tokenizer = JsonDocument.Parse(File.ReadAllText(Path.Combine(back.Path, "tokenizer_config.json")));
        Assert.Equal("USER: {{ x }} ASSISTANT:", tokenizer.RootElement.GetProperty("chat_template").GetString());
        Assert.False(tokenizer.RootElement.GetProperty("add_bos_token").GetBoolean());
        Assert.Equal("<s>", tokenizer.RootElement.GetProperty("bos_token").GetString());
        using LanguageModel again = LanguageModel.Load(back.Path, new LoadOptions { Threads = 1 });
        Assert.Equal([2, 5, 7], again.EndOfSequenceIds.Order());
        Assert.False(again.Tokenizer.AddBos);
    }

    [Theory]
    [InlineData(TensorType.F16, 70000f, "70000")]
    [InlineData(TensorType.F16, -65520f, "-65520")]
    [InlineData(TensorType.BF16, float.MaxValue, "3.4028235E+38")]
    [InlineData(TensorType.Q8_0, 1e8f, "100000000")]
    [InlineData(TensorType.Q4_0, float.NaN, "NaN")]
    public void Convert_OfAValueBeyondTheType_NamesTensorAndValueAndLeavesNothing(TensorType type, float value, string shown)
    {
        TinyModel tiny = new(new TinyShape { Hidden = 64, Intermediate = 96 });
        tiny.Tensors["model.layers.1.mlp.down_proj.weight"].Values[96 + 5] = value;
        string source = Written(tiny);
        string message = Assert.Throws<ModelFormatException>(() => Gguf(source, type)).Message;
        Assert.Equal($"model.safetensors: 'model.layers.1.mlp.down_proj.weight': expected values within the range of {type}, found {shown} in row 1", message);
        Assert.Equal(["model"], Entries());
    }

    [Fact]
    public void Convert_OfWhatCannotBe_IsRefusedAndChangesNothing()
    {
        string source = Written(new TinyModel(new TinyShape()));
        _temp.Write("there.gguf", "x");
        ConvertOptions gguf = new() { Container = ModelContainer.Gguf, Type = TensorType.F16 };
        ConvertOptions folder = new() { Container = ModelContainer.Safetensors, Type = TensorType.F16 };
        Assert.Throws<IOException>(() => CheckpointConverter.Convert(source, _temp.File("there.gguf"), gguf));
        Assert.Throws<IOException>(() => CheckpointConverter.Convert(source, source, folder));
        Assert.Throws<ArgumentException>(() => CheckpointConverter.Convert(source, _temp.File("out"), gguf));
        Assert.Throws<ArgumentException>(() => CheckpointConverter.Convert(source, _temp.File("out.gguf"), folder));
        Assert.Contains("found Q8_0", Assert.Throws<ArgumentException>(() => CheckpointConverter.Convert(source, _temp.File("out"), folder with { Type = TensorType.Q8_0 })).Message, StringComparison.Ordinal);
        Assert.Contains("found Q4_K", Assert.Throws<ArgumentException>(() => CheckpointConverter.Convert(source, _temp.File("out.gguf"), gguf with { Type = TensorType.Q4_K })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => CheckpointConverter.Convert(source, _temp.File("out"), folder with { Container = (ModelContainer)7 }));
        Assert.Throws<FileNotFoundException>(() => CheckpointConverter.Convert(_temp.File("none"), _temp.File("out"), folder));
        Assert.Equal(["model", "there.gguf"], Entries());
        Assert.Equal("x", File.ReadAllText(_temp.File("there.gguf")));
    }

    [Theory]
    [InlineData(ModelContainer.Gguf, "out.gguf")]
    [InlineData(ModelContainer.Safetensors, "out")]
    public void Convert_CancelledOrFailedHalfWay_LeavesNothing(ModelContainer container, string output)
    {
        string source = Written(new TinyModel(new TinyShape { Hidden = 64 }));
        ConvertOptions options = new() { Container = container, Type = TensorType.F16 };
        using CancellationTokenSource cancelled = new();
        Progress cancels = new(value =>
        {
            if (value.BytesDone > value.BytesTotal / 2)
            {
                cancelled.Cancel();
            }
        });
        Assert.Throws<OperationCanceledException>(() => CheckpointConverter.Convert(source, _temp.File(output), options, cancels, cancelled.Token));
        Progress fails = new(value =>
        {
            if (value.BytesDone == value.BytesTotal)
            {
                throw new IOException("No space left on device");
            }
        });
        Assert.Throws<IOException>(() => CheckpointConverter.Convert(source, _temp.File(output), options, fails));
        Assert.Equal(["model"], Entries());
    }

    private static void CheckGolden(string path, string golden)
    {
        using JsonDocument goldens = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("goldens/gguf.json")));
        JsonElement item = goldens.RootElement.GetProperty(golden);
        int[] ids = [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        float[] expected = [.. item.GetProperty("last_logits").EnumerateArray().Select(value => value.GetSingle())];
        float[] found = ModelBytes.Logits(path, ids, new LoadOptions { KeyValueType = KeyValueType.F32, ExactProducts = true })[^1];
        AssertClose([expected], [found], 2e-4);
    }

    // Largest difference as a part of the root mean square.
    private static void AssertClose(float[][] expected, float[][] found, double tolerance)
    {
        double rms = Math.Sqrt(expected.SelectMany(row => row).Average(value => (double)value * value));
        double worst = expected.Zip(found, (a, b) => a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max()).Max();
        Assert.True(worst <= tolerance * rms, $"{worst} of {rms}");
    }

    private static IEnumerable<KeyValuePair<string, (TensorType, string)>> Sorted(Dictionary<string, (TensorType, string)> tensors) =>
        tensors.OrderBy(item => item.Key, StringComparer.Ordinal);

    private ConvertResult Gguf(string source, TensorType type) =>
        CheckpointConverter.Convert(source, _temp.File("model.gguf"), new ConvertOptions { Container = ModelContainer.Gguf, Type = type });

    private ConvertResult Folder(string source, TensorType type, string name) =>
        CheckpointConverter.Convert(source, _temp.File(name), new ConvertOptions { Container = ModelContainer.Safetensors, Type = type });

    private string Written(TinyModel tiny, string name = "model")
    {
        string folder = _temp.File(name);
        Directory.CreateDirectory(folder);
        foreach ((string file, ReadOnlyMemory<byte> bytes) in tiny.Files())
        {
            File.WriteAllBytes(Path.Combine(folder, file), bytes.Span);
        }

        return folder;
    }

    private string[] Entries() => [.. Directory.GetFileSystemEntries(_temp.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private sealed class Progress(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report(value);
    }
}
