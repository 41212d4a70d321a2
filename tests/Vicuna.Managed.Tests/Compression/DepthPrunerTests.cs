using System.Text.Json.Nodes;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Models;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using JsonObject = System.Text.Json.Nodes.JsonObject;

namespace Vicuna.Managed.Tests.Compression;

public sealed class DepthPrunerTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("taylor_block_score_all", new[] { 24, 25, 26, 27, 28, 29 })]
    [InlineData("taylor_block_order", new[] { 24, 25, 26, 27, 28, 29 })]
    [InlineData("ppl_sorted", new[] { 10, 11, 20, 24, 25, 27 })]
    [InlineData("ppl_block_order", new[] { 10, 11, 20, 24, 25, 27 })]
    [InlineData("magnitude_block_score_all", new[] { 5, 7, 8, 9, 10, 12 })]
    public void Select_OfSixByNotasScores_IsThePublishedCut(string name, int[] removed)
    {
        BlockScores scores = BlockScores.Read(SharedFolder.Require($"goldens/nota/vicuna-7b-v1.3_{name}.csv"));
        ModelConfig vicuna = SyntheticCheckpoint.Config("vicuna-7b");
        Assert.Equal(removed, DepthPruner.Select(scores, 6));
        Assert.Equal(removed, DepthPruner.SelectFor(scores, vicuna, 6));
        Assert.Equal(5_524_115_456, (vicuna with { NumHiddenLayers = new BlockCut(removed, 32).Kept.Count }).ParameterCount);
    }

    [Fact]
    public void Select_KeepsTheFirstAndTheLast()
    {
        BlockScores scores = new(ScoreCriterion.Taylor, [0, 1, 2, 3, 4, 5, 6, 7]);
        Assert.Equal([4, 5], DepthPruner.Select(scores, 2));
        Assert.Equal([0, 1, 2], DepthPruner.Select(scores, 3, 0, 0));
        Assert.Equal([1, 2, 3, 4, 5, 6], DepthPruner.Select(scores, 6, 1, 1));
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], DepthPruner.Select(scores, 7, 0, 0));
    }

    [Theory]
    [InlineData(3, 4, 2, "expected at most 2 of 8, of which the first 4 and the last 2 stay, found 3")]
    [InlineData(8, 0, 0, "expected at most 7 of 8")]
    [InlineData(1, 8, 0, "expected at most 0 of 8")]
    [InlineData(1, int.MaxValue, int.MaxValue, "expected at most 0 of 8")]
    [InlineData(0, 4, 2, "count")]
    [InlineData(1, -1, 2, "keepFirst")]
    [InlineData(1, 0, -2, "keepLast")]
    public void Select_OfMoreThanThereAre_SaysTheNumbers(int count, int keepFirst, int keepLast, string problem)
    {
        BlockScores scores = new(ScoreCriterion.Taylor, [0, 1, 2, 3, 4, 5, 6, 7]);
        Assert.Contains(problem, Assert.Throws<ArgumentOutOfRangeException>(() => DepthPruner.Select(scores, count, keepFirst, keepLast)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SelectFor_ScoresOfAnotherModel_IsRefusedWithBothNumbers()
    {
        BlockScores scores = new(ScoreCriterion.Taylor, Enumerable.Repeat(1.0, 32));
        string message = Assert.Throws<ArgumentException>(() => DepthPruner.SelectFor(scores, SyntheticCheckpoint.Config("st-vicuna-5.5b"), 1)).Message;
        Assert.Contains("expected 26 blocks, found 32", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tiny-vicuna-f16-sharded")]
    [InlineData("tiny-vicuna-bin")]
    [InlineData("tiny-vicuna-bf16")]
    [InlineData("gguf/tiny-vicuna-Q4_K_M.gguf")]
    [InlineData("gguf/tiny-vicuna-f16.gguf")]
    public void Write_KeepsEveryBitOfTheBlocksThatStay(string name)
    {
        string source = SharedFolder.Require($"models/{name}");
        PruneResult result = DepthPruner.Write(source, _temp.File("cut"), [1]);
        Assert.Equal([1], result.Removed);
        Assert.Equal([0, 2, 3], result.Kept);
        Assert.Equal(_temp.File("cut"), result.Path);
        Assert.Equal(Directory.GetFiles(result.Path).Sum(file => new FileInfo(file).Length), result.Bytes);
        Dictionary<string, (TensorType, string)> expected = ModelBytes.Tensors(source)
            .Where(item => !item.Key.StartsWith("model.layers.1.", StringComparison.Ordinal))
            .ToDictionary(item => item.Key.Replace("layers.2.", "layers.1.", StringComparison.Ordinal).Replace("layers.3.", "layers.2.", StringComparison.Ordinal), item => item.Value);
        Dictionary<string, (TensorType, string)> found = ModelBytes.Tensors(result.Path);
        Assert.Equal(expected.OrderBy(item => item.Key, StringComparer.Ordinal), found.OrderBy(item => item.Key, StringComparer.Ordinal));
        CheckpointInfo info = LanguageModel.Inspect(result.Path);
        Assert.Equal(result.Parameters, info.ParameterCount);
        Assert.Equal(3, info.Config.NumHiddenLayers);
        Assert.Empty(info.Warnings);
        using LanguageModel model = LanguageModel.Load(result.Path, new LoadOptions { Threads = 1 });
        using LanguageModel parent = LanguageModel.Load(source, new LoadOptions { Threads = 1 });
        Assert.Equal(parent.Tokenizer.Encode("Once upon a time", true), model.Tokenizer.Encode("Once upon a time", true));
        Assert.Equal(parent.EndOfSequenceIds, model.EndOfSequenceIds);
    }

    [Fact]
    public void Write_OfGgufToAFile_ChangesNothingButTheNumberOfBlocks()
    {
        string source = SharedFolder.Require("models/gguf/tiny-vicuna-Q8_0.gguf");
        PruneResult result = DepthPruner.Write(source, _temp.File("sub/cut.gguf"), [3]);
        Assert.Equal(_temp.File("sub/cut.gguf"), result.Path);
        byte[] before = File.ReadAllBytes(source);
        byte[] after = File.ReadAllBytes(result.Path);
        Assert.Equal(result.Bytes, after.Length);

        // Magic, version, then counts: 9 tensors fewer. The pairs follow, the same but for one number, up to the table.
        Assert.Equal(9, before[8] - after[8]);
        int table = before.AsSpan().IndexOf("output.weight"u8) - 8;
        int[] different = [.. Enumerable.Range(16, table - 16).Where(i => before[i] != after[i])];
        int count = before.AsSpan().IndexOf("llama.block_count"u8) + "llama.block_count".Length + 4;
        Assert.Equal([count], different);
        Assert.Equal((4, 3), (before[count], after[count]));
        Assert.Throws<IOException>(() => DepthPruner.Write(source, result.Path, [3]));
        Assert.Equal(after, File.ReadAllBytes(result.Path));
    }

    [Fact]
    public void Write_KeepsEveryKeyOfTheConfigAndCutsListsOfLayers()
    {
        TinyModel tiny = new(new TinyShape { Layers = 4, HasTokenizer = true, Vocab = 1024 });
        string[] types = ["full_attention", "sliding_attention", "chunked", "full_attention"];
        tiny.Config["layer_types"] = new JsonArray([.. types.Select(type => (JsonNode)type)]);
        tiny.Config["unknown"] = new JsonObject { ["num_hidden_layers"] = 4, ["x"] = new JsonArray(1, 2, 3, 4) };
        tiny.Config["initializer_range"] = JsonNode.Parse("0.0200");
        tiny.Config["name"] = "Vicuña <a href='x'>";
        tiny.TextFiles["tokenizer_config.json"] = "{\"add_bos_token\": true}";
        tiny.TextFiles["LICENSE"] = "do what you like";
        tiny.TextFiles["model.safetensors.index.json.bak"] = "{}";
        tiny.TextFiles["pytorch_model.bin.index.json"] = "{}";
        tiny.TextFiles[".hidden"] = "no";
        string source = _temp.File("model");
        Directory.CreateDirectory(source);
        foreach ((string file, ReadOnlyMemory<byte> bytes) in tiny.Files())
        {
            File.WriteAllBytes(Path.Combine(source, file), bytes.Span);
        }

        PruneResult result = DepthPruner.Write(source, _temp.File("cut"), [2]);
        string text = File.ReadAllText(Path.Combine(result.Path, "config.json"));
        JsonObject config = JsonNode.Parse(text)!.AsObject();
        Assert.Equal(tiny.Config.Select(item => item.Key), config.Select(item => item.Key));
        Assert.Equal(3, (int)config["num_hidden_layers"]!);
        Assert.Equal(["full_attention", "sliding_attention", "full_attention"], config["layer_types"]!.AsArray().Select(type => (string)type!));
        Assert.Contains("0.0200", text, StringComparison.Ordinal);
        Assert.Contains("Vicuña <a href='x'>", text, StringComparison.Ordinal);
        foreach (string same in tiny.Config.Select(item => item.Key).Except(["num_hidden_layers", "layer_types"]))
        {
            Assert.True(JsonNode.DeepEquals(tiny.Config[same], config[same]), same);
        }

        Assert.Equal(
            ["LICENSE", "config.json", "model.safetensors", "model.safetensors.index.json.bak", "tokenizer.model", "tokenizer_config.json"],
            Directory.GetFiles(result.Path).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.Equal("do what you like", File.ReadAllText(Path.Combine(result.Path, "LICENSE")));
    }

    [Fact]
    public void Write_OfTensorsThatTheModelDoesNotUse_KeepsThem()
    {
        TinyModel tiny = new(new TinyShape { Layers = 3 });
        tiny.Tensors["model.layers.2.self_attn.rotary_emb.inv_freq"] = TinyTensor.Rounded(TensorType.F32, [4], [1, 2, 3, 4]);
        tiny.Tensors["extra"] = TinyTensor.Rounded(TensorType.F32, [1, 2, 1], [5, 6]);
        PruneResult result = DepthPruner.Write(Written(tiny), _temp.File("cut"), [0]);
        Dictionary<string, (TensorType Type, string Bytes)> tensors = ModelBytes.Tensors(result.Path);
        Assert.Contains("model.layers.1.self_attn.rotary_emb.inv_freq", tensors.Keys);
        Assert.Equal("0000A0400000C040", tensors["extra"].Bytes);
    }

    [Fact]
    public void Write_OverSomethingOrOfNothing_IsRefusedAndChangesNothing()
    {
        string source = Written(new TinyModel(new TinyShape { Layers = 3 }));
        _temp.Write("file", "y");
        Assert.Throws<IOException>(() => DepthPruner.Write(source, source, [0]));
        Assert.Throws<IOException>(() => DepthPruner.Write(source, _temp.File("file"), [0]));
        Assert.Throws<ArgumentException>(() => DepthPruner.Write(source, _temp.File("cut"), []));
        Assert.Contains("ends in .gguf", Assert.Throws<ArgumentException>(() => DepthPruner.Write(source, _temp.File("cut.gguf"), [0])).Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => DepthPruner.Write(_temp.File("none"), _temp.File("cut"), [0]));
        Assert.Equal(["file", "model"], Entries());
        Assert.Equal(["config.json", "model.safetensors"], Directory.GetFiles(source).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Write_OfADamagedModel_IsRefused()
    {
        TinyModel tiny = new(new TinyShape { Layers = 3 });
        tiny.Tensors.Remove("model.layers.1.mlp.up_proj.weight");
        string source = Written(tiny);
        Assert.Contains("up_proj", Assert.Throws<ModelFormatException>(() => DepthPruner.Write(source, _temp.File("cut"), [0])).Message, StringComparison.Ordinal);

        // What is missing goes with its block.
        Assert.Equal(2, LanguageModel.Inspect(DepthPruner.Write(source, _temp.File("cut"), [1]).Path).Config.NumHiddenLayers);
    }

    [Theory]
    [InlineData("tiny-vicuna-f16-sharded", "cut")]
    [InlineData("gguf/tiny-vicuna-Q8_0.gguf", "cut.gguf")]
    [InlineData("gguf/tiny-vicuna-Q8_0.gguf", "cut")]
    public void Write_CancelledOrFailedHalfWay_LeavesNothing(string name, string output)
    {
        string source = SharedFolder.Require($"models/{name}");
        using CancellationTokenSource cancelled = new();
        long total = 0;
        Progress cancels = new(value =>
        {
            total = value.BytesTotal;
            if (value.BytesDone > 500_000)
            {
                cancelled.Cancel();
            }
        });
        Progress fails = new(value =>
        {
            if (value.BytesDone > 500_000)
            {
                throw new IOException("No space left on device");
            }
        });
        Assert.Throws<OperationCanceledException>(() => DepthPruner.Write(source, _temp.File(output), [0], cancels, cancelled.Token));
        Assert.Throws<IOException>(() => DepthPruner.Write(source, _temp.File(output), [0], fails));
        Assert.Empty(Entries());
        List<LoadProgress> reports = [];
        DepthPruner.Write(source, _temp.File(output), [0], new Progress(reports.Add));
        Assert.Equal((total, total), (reports[^1].BytesDone, reports[^1].BytesTotal));
        Assert.Equal(reports.Select(report => report.BytesDone).Distinct().Order(), reports.Select(report => report.BytesDone));
    }

    [Fact]
    public void ConfigEditor_OfHalfASurrogatePair_IsARefusal() =>
        Assert.Throws<ModelFormatException>(() => ConfigEditor.Cut("{\"num_hidden_layers\": 2, \"x\": \"\\ud800\"}"u8.ToArray(), "config.json", new BlockCut([0], 2)));

    [Theory]
    [InlineData("model.layers.2.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight")]
    [InlineData("model.layers.1.mlp.up_proj.weight", null)]
    [InlineData("model.layers.12.x", "model.layers.12.x")]
    [InlineData("model.layers.02.x", "model.layers.02.x")]
    [InlineData("model.layers.99999999999.x", "model.layers.99999999999.x")]
    [InlineData("model.layers.2", "model.layers.2")]
    [InlineData("model.layers..2", "model.layers..2")]
    [InlineData("model.norm.weight", "model.norm.weight")]
    public void Rename_OfATensor_FollowsItsBlock(string name, string? expected) => Assert.Equal(expected, new BlockCut([1], 3).Rename(name));

    private string Written(TinyModel tiny)
    {
        string folder = _temp.File("model");
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
