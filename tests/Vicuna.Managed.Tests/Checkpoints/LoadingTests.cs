using Vicuna.Managed.Chat;
using System.Reflection;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Checkpoints;

public sealed class LoadingTests
{
    private static readonly TinyShape Small = new() { Layers = 3, KeyValueHeads = 2, Context = 64 };

    private static readonly Dictionary<string, (Action<TinyModel> Damage, string Item, string Message)> Defects = new()
    {
        ["missing tensor"] = (m => m.Tensors.Remove("model.layers.1.self_attn.v_proj.weight"), "model.layers.1.self_attn.v_proj.weight",
            "expected a tensor of shape [16, 32], found none"),
        ["missing norm"] = (m => m.Tensors.Remove("model.norm.weight"), "model.norm.weight", "shape [32], found none"),
        ["missing embedding"] = (m => m.Tensors.Remove("model.embed_tokens.weight"), "model.embed_tokens.weight", "shape [96, 32], found none"),
        ["no head, not tied"] = (m => m.Tensors.Remove("lm_head.weight"), "lm_head.weight", "shape [96, 32], found none"),
        ["wrong shape"] = (m => Reshape(m, "model.layers.0.mlp.up_proj.weight", 55, 32), "model.layers.0.mlp.up_proj.weight",
            "expected shape [56, 32], found [55, 32]"),
        ["transposed"] = (m => Reshape(m, "model.layers.0.mlp.up_proj.weight", 32, 56), "model.layers.0.mlp.up_proj.weight",
            "expected shape [56, 32], found [32, 56]"),
        ["another rank"] = (m => Reshape(m, "model.layers.2.input_layernorm.weight", 1, 32), "model.layers.2.input_layernorm.weight",
            "expected shape [32], found [1, 32]"),
        ["empty tensor"] = (m => Reshape(m, "lm_head.weight", 0, 32), "lm_head.weight", "expected shape [96, 32], found [0, 32]"),
        ["i8 weights"] = (m => Retype(m, "lm_head.weight", TensorType.I8), "lm_head.weight", "found I8"),
        ["f64 weights"] = (m => Retype(m, "model.layers.2.self_attn.q_proj.weight", TensorType.F64), "model.layers.2.self_attn.q_proj.weight", "found F64"),
        ["i8 norm"] = (m => Retype(m, "model.norm.weight", TensorType.I8), "model.norm.weight", "found I8"),
        ["layer gap"] = (m => RenameLayer(m, 1, 7), "model.layers.1.input_layernorm.weight", "found none"),
        ["config has more layers"] = (m => m.Config["num_hidden_layers"] = 4, "model.layers.3.input_layernorm.weight", "found none"),
        ["config has another width"] = (m => m.Config["intermediate_size"] = 60, "model.layers.0.mlp.gate_proj.weight",
            "expected shape [60, 32], found [56, 32]"),
        ["config has another vocabulary"] = (m => m.Config["vocab_size"] = 97, "model.embed_tokens.weight", "expected shape [97, 32], found [96, 32]"),
        ["config has more key heads"] = (m => m.Config["num_key_value_heads"] = 4, "model.layers.0.self_attn.k_proj.weight",
            "expected shape [32, 32], found [16, 32]"),
        ["config has biases"] = (m => m.Config["attention_bias"] = true, "model.layers.0.self_attn.q_proj.bias", "shape [32], found none"),
        ["config has feed-forward biases"] = (m => m.Config["mlp_bias"] = true, "model.layers.0.mlp.gate_proj.bias", "shape [56], found none"),
    };

    public static TheoryData<string> DefectNames() => [.. Defects.Keys];

    [Theory]
    [MemberData(nameof(DefectNames))]
    public void Load_ADamagedCheckpoint_IsRefusedNamingTheTensor(string name)
    {
        (Action<TinyModel> damage, string item, string message) = Defects[name];
        using TempFolder folder = new();
        TinyModel tiny = new(Small);
        damage(tiny);
        tiny.Write(folder);
        foreach (Action load in new Action[] { () => LanguageModel.Load(folder.Path).Dispose(), () => LanguageModel.Inspect(folder.Path),
            () => tiny.Load().Dispose() })
        {
            ModelFormatException found = Assert.Throws<ModelFormatException>(load);
            Assert.Equal(item, found.Item);
            Assert.Contains(message, found.Message);
            Assert.Contains(found.FileName!, new[] { folder.Path, "files in memory", "model.safetensors" });
        }
    }

    [Fact]
    public void Load_UnexpectedTensors_AreWarnedOf()
    {
        TinyModel tiny = new(Small);
        tiny.Tensors.Add("model.layers.0.self_attn.rotary_emb.inv_freq", TinyTensor.Rounded(TensorType.F32, [4], [1, 1, 1, 1]));
        tiny.Tensors.Add("model.layers.0.self_attn.q_norm.weight", TinyTensor.Rounded(TensorType.F32, [8], new double[8]));
        tiny.Tensors.Add("model.layers.3.input_layernorm.weight", TinyTensor.Rounded(TensorType.F32, [32], new double[32]));
        using LanguageModel model = tiny.Load();
        Assert.Equal(2, model.Info.Warnings.Count);
        Assert.Contains("'model.layers.0.self_attn.q_norm.weight' is not used", model.Info.Warnings[0]);
        Assert.Contains("'model.layers.3.input_layernorm.weight' is not used", model.Info.Warnings[1]);
        Assert.Equal(tiny.Tensors.Count, model.Info.Tensors.Count);
    }

    [Fact]
    public void Load_ATiedModelThatStoresItsHead_UsesTheEmbedding()
    {
        TinyModel tied = new(Small with { Tied = true });
        float[] expected = Logits(tied.Load());
        tied.Tensors.Add("lm_head.weight", TinyTensor.Rounded(TensorType.F32, [96, 32], new double[96 * 32]));
        LanguageModel model = tied.Load();
        Assert.Empty(model.Info.Warnings);
        Assert.Equal(expected, Logits(model));
    }

    [Fact]
    public void Load_SafetensorsBesideBin_TakesSafetensors()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Small);
        tiny.TextFiles["pytorch_model.bin"] = "not a checkpoint at all";
        tiny.TextFiles["pytorch_model.bin.index.json"] = "{";
        tiny.Write(folder);
        using LanguageModel model = LanguageModel.Load(folder.Path);
        Assert.Equal("safetensors", model.Info.Format);
        File.Delete(folder.File("model.safetensors"));
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.Path));
        Assert.Equal("pytorch_model.bin", found.FileName);
    }

    [Fact]
    public void Load_ShardedFiles_GivesTheSameModel()
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Small);
        float[] expected = Logits(tiny.Load());
        tiny.Write(folder);
        File.Delete(folder.File("model.safetensors"));
        string[] shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        string Home(string name) => shards[name.Contains("layers.1", StringComparison.Ordinal) ? 1 : 0];
        foreach (string shard in shards)
        {
            folder.Write(shard, TinyModel.Safetensors(tiny.Tensors.Where(tensor => Home(tensor.Key) == shard)));
        }

        folder.Write("model.safetensors.index.json", $"{{\"metadata\":{{}},\"weight_map\":{{{string.Join(',', tiny.Tensors.Keys.Select(name => $"\"{name}\":\"{Home(name)}\""))}}}}}");
        Assert.Equal(expected, Logits(LanguageModel.Load(folder.Path)));
        Assert.Equal(expected, Logits(LanguageModel.LoadFiles(Directory.GetFiles(folder.Path).ToDictionary(path => Path.GetFileName(path),
            path => (ReadOnlyMemory<byte>)File.ReadAllBytes(path)))));
        File.Delete(folder.File(shards[1]));
        Assert.Equal(shards[1], Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.Path)).FileName);
    }

    [Fact]
    public void Load_AFolderWithOneGgufFile_OpensIt()
    {
        string gguf = SharedFolder.Require("models/gguf/stories260k-f32.gguf");
        using TempFolder folder = new();
        File.Copy(gguf, folder.File("any-name.gguf"));
        using LanguageModel model = LanguageModel.Load(folder.Path);
        Assert.Equal("gguf", model.Info.Format);
        File.Copy(gguf, folder.File("second.gguf"));
        Assert.Equal("config.json", Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.Path)).FileName);
    }

    [Fact]
    public void Load_NothingAtThePath_IsAFileNotFound()
    {
        using TempFolder folder = new();
        string path = folder.File("no-such-model");
        Assert.Equal(path, Assert.Throws<FileNotFoundException>(() => LanguageModel.Load(path)).FileName);
        Assert.Throws<FileNotFoundException>(() => LanguageModel.Inspect(path + ".gguf"));
        Assert.Throws<ArgumentException>(() => LanguageModel.Load(string.Empty));
    }

    [Fact]
    public void Load_APathThatIsNoModel_SaysWhatToGive()
    {
        using TempFolder folder = new();
        new TinyModel(Small).Write(folder);
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.File("model.safetensors")));
        Assert.Contains("give the folder", found.Message);
        File.Delete(folder.File("model.safetensors"));
        Assert.Contains("model.safetensors, pytorch_model.bin or one of their index files, found none",
            Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.Path)).Message);
        File.Delete(folder.File("config.json"));
        Assert.Equal("config.json", Assert.Throws<ModelFormatException>(() => LanguageModel.Load(folder.Path)).FileName);
    }

    [Fact]
    public void Load_ATokenizerWithMorePiecesThanTheVocabulary_IsRefused()
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => new TinyModel(Small with { HasTokenizer = true }).Load());
        Assert.Equal("tokenizer.model", found.FileName);
        Assert.Contains("at most vocab_size 96 pieces, found 1024", found.Message);
    }

    [Fact]
    public void Load_ATokenizerWithFewerPiecesThanTheVocabulary_GeneratesAnyId()
    {
        using LanguageModel model = new TinyModel(Small with { HasTokenizer = true, Vocab = 1100 }).Load();
        GenerationResult result = model.Generate(
            "Hello", new GenerationOptions { MaxNewTokens = 8, LogitBias = new Dictionary<int, float> { [1090] = 90 }, Temperature = 0,
                IgnoreEndOfSequence = true });
        Assert.Equal(Enumerable.Repeat(1090, 8), result.TokenIds);
        Assert.Equal(string.Empty, result.Text);
    }

    [Fact]
    public void Load_WithoutATokenizer_IdsWorkAndTextSaysWhy()
    {
        using TempFolder folder = new();
        using LanguageModel model = LanguageModel.Load(new TinyModel(Small).Write(folder));
        Assert.False(model.HasTokenizer);
        GenerationResult result = model.Generate(new[] { 1, 2 }, new GenerationOptions { MaxNewTokens = 3 });
        Assert.Equal((3, string.Empty), (result.TokenIds.Count, result.Text));
        foreach (Action use in new Action[] { () => model.Generate("text"), () => model.StreamAsync("text"), () => model.CreateChat(),
            () => model.Encode("text"), () => _ = model.Tokenizer })
        {
            ModelFormatException found = Assert.Throws<ModelFormatException>(use);
            Assert.Contains("tokenizer.model", found.Message);
            Assert.Contains(folder.Path, found.Message);
        }

        using Generator generator = model.CreateGenerator();
        Assert.Throws<InvalidOperationException>(() => generator.AppendText("text"));
    }

    [Fact]
    public void Load_WithAnUnknownTemplate_ChatSaysWhatToSet()
    {
        TinyModel tiny = new(Small with { HasTokenizer = true, Vocab = 1024 });
        tiny.TextFiles["tokenizer_config.json"] = """{"chat_template": "{{ something else }}"}""";
        using (LanguageModel model = tiny.Load())
        {
            Assert.Contains("LoadOptions.PromptFormatter", Assert.Throws<ModelFormatException>(() => model.CreateChat()).Message);
            Assert.Throws<ModelFormatException>(() => model.StreamAsync(Prompt.FromMessages([new(ChatRole.User, "Hi")])));
            Assert.NotEmpty(model.Generate("text works", new GenerationOptions { MaxNewTokens = 2, IgnoreEndOfSequence = true }).TokenIds);
        }

        using LanguageModel given = tiny.Load(new LoadOptions { PromptFormatter = PromptTemplates.Raw });
        Assert.NotEmpty(given.Encode(Prompt.FromMessages([new(ChatRole.User, "Hi")])));
        tiny.TextFiles["tokenizer_config.json"] = """{"chat_template": "\ud800"}""";
        Assert.Equal("tokenizer_config.json", Assert.Throws<ModelFormatException>(() => tiny.Load()).FileName);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Load_CopyOrMap_ReportsProgressAndGivesTheSameLogits(bool copy)
    {
        using TempFolder folder = new();
        TinyModel tiny = new(Small);
        tiny.Write(folder);
        List<LoadProgress> steps = [];
        using LanguageModel model = LanguageModel.Load(folder.Path, new LoadOptions { CopyToMemory = copy, Progress = new Listener(steps.Add) });
        Assert.Equal(Logits(tiny.Load()), Logits(model));
        long size = new FileInfo(folder.File("model.safetensors")).Length;
        Assert.Equal(new LoadProgress("model.safetensors", size, size), steps[^1]);
        Assert.All(steps, step => Assert.True(step.BytesDone <= step.BytesTotal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Load_Cancelled_Stops(bool copy)
    {
        using TempFolder folder = new();
        new TinyModel(Small).Write(folder);
        CancellationToken cancelled = new(canceled: true);
        LoadOptions options = new() { CopyToMemory = copy };
        Assert.ThrowsAny<OperationCanceledException>(() => LanguageModel.Load(folder.Path, options, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => LanguageModel.LoadAsync(folder.Path, options, cancelled));
    }

    [Fact]
    public async Task LoadAsync_RunsOnAnotherThread()
    {
        using TempFolder folder = new();
        new TinyModel(Small).Write(folder);
        int caller = Environment.CurrentManagedThreadId;
        int loader = 0;
        using LanguageModel model = await LanguageModel.LoadAsync(folder.Path,
            new LoadOptions { Progress = new Listener(_ => loader = Environment.CurrentManagedThreadId) });
        Assert.True(loader != 0 && loader != caller);
    }

    [Fact]
    public void Model_WhoseFilesAreReplacedOrDeleted_GoesOnComputing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "A mapped file can be deleted and replaced on Linux only.");
        using TempFolder folder = new();
        TinyModel tiny = new(Small);
        LanguageModel model = LanguageModel.Load(tiny.Write(folder));
        float[] expected = Logits(tiny.Load());
        string other = folder.Write("other", TinyModel.Safetensors(new TinyModel(Small, seed: 99).Tensors));
        File.Move(other, folder.File("model.safetensors"), overwrite: true);
        Assert.NotEqual(expected, Logits(LanguageModel.Load(folder.Path)));
        File.Delete(folder.File("model.safetensors"));
        Assert.Equal(expected, Logits(model));
    }

    [Fact]
    public void Load_SymbolicLinks_AreFollowedOrRefused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making symbolic links needs rights on Windows.");
        using TempFolder folder = new();
        new TinyModel(Small).Write(folder);
        foreach (string name in new[] { "model.safetensors", "config.json" })
        {
            File.Move(folder.File(name), folder.File("blob"));
            File.CreateSymbolicLink(folder.File(name), folder.File("blob"));
            LanguageModel.Load(folder.Path).Dispose();
            ModelFormatException found = Assert.Throws<ModelFormatException>(() =>
                LanguageModel.Load(folder.Path, new LoadOptions { AllowSymbolicLinks = false }));
            Assert.Contains("symbolic link", found.Message);
            Assert.Equal(name, found.FileName);
            File.Move(folder.File("blob"), folder.File(name), overwrite: true);
        }
    }

    [Fact]
    public void Load_OptionsOutOfRange_AreRefused()
    {
        TinyModel tiny = new(Small);
        foreach (LoadOptions options in new[]
        {
            new LoadOptions { Threads = 0 }, new() { Threads = -1 }, new() { Threads = 1025 }, new() { ContextLength = 1 }, new() { ContextLength = 65 },
            new() { InstructionSet = (InstructionSet)99 }, new() { Quantization = (Quantization)3 }, new() { KeyValueType = (KeyValueType)(-1) },
        })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => tiny.Load(options));
        }

        using LanguageModel model = tiny.Load(new LoadOptions { ContextLength = 64, Threads = 1 });
        Assert.Equal((64, 1), (model.ContextLength, model.Threads));
    }

    [Fact]
    public void LoadFiles_OfEmbeddedFiles_IsTheFolder()
    {
        IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files = Directory.GetFiles(PicoVicuna.Folder)
            .ToDictionary(path => Path.GetFileName(path), path => (ReadOnlyMemory<byte>)File.ReadAllBytes(path));
        using LanguageModel memory = LanguageModel.LoadFiles(files);
        using LanguageModel folder = LanguageModel.Load(PicoVicuna.Folder);
        Assert.Equal(folder.Generate("USER: Hi", new GenerationOptions { Seed = 5, MaxNewTokens = 20 }).Text,
            memory.Generate("USER: Hi", new GenerationOptions { Seed = 5, MaxNewTokens = 20 }).Text);
        Assert.Equal(folder.DefaultOptions, memory.DefaultOptions);
        Assert.Equal("config.json", Assert.Throws<ModelFormatException>(() =>
            LanguageModel.LoadFiles(new Dictionary<string, ReadOnlyMemory<byte>>())).FileName);
        Assert.Throws<FileNotFoundException>(() => EmbeddedFiles.Read(Assembly.GetExecutingAssembly(), "no-such-prefix/"));
    }

    private static float[] Logits(LanguageModel model)
    {
        using (model)
        {
            using Generator generator = model.CreateGenerator();
            generator.Append([1, 2, 3, 5, 8]);
            return generator.GetLogits().ToArray();
        }
    }

    private static void Reshape(TinyModel model, string name, params long[] shape) =>
        model.Tensors[name] = model.Tensors[name] with { Shape = shape, Values = new float[shape.Aggregate(1L, (a, b) => a * b)] };

    private static void Retype(TinyModel model, string name, TensorType type) => model.Tensors[name] = model.Tensors[name] with { Type = type };

    private static void RenameLayer(TinyModel model, int from, int to)
    {
        foreach (string name in model.Tensors.Keys.Where(name => name.Contains($"layers.{from}.", StringComparison.Ordinal)).ToArray())
        {
            model.Tensors.Remove(name, out TinyTensor? tensor);
            model.Tensors.Add(name.Replace($"layers.{from}.", $"layers.{to}.", StringComparison.Ordinal), tensor!);
        }
    }

    private sealed class Listener(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report(value);
    }
}
