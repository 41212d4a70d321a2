using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using static Vicuna.Managed.Tests.Weights.SafetensorsBytes;

namespace Vicuna.Managed.Tests.Weights;

public sealed class TensorSetTests : IDisposable
{
    private const string IndexName = "model.safetensors.index.json";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Open_AnIndex_GathersTheTensorsOfItsShards(bool resident)
    {
        WriteShards("{\"metadata\":{\"total_size\":6},\"weight_map\":{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}");
        List<string> progress = [];
        using TensorSet set = Open(new() { Resident = resident, Progress = (name, done, total) => progress.Add($"{name} {done}/{total}") });
        Assert.Equal(["a", "b", "c"], set.Tensors.Keys.Order());
        Assert.Equal([0, 1, 2], Bytes(set, "c"));
        Assert.Equal("2.safetensors", set.Tensors["c"].Info.FileName);
        Assert.Empty(set.Warnings);
        Assert.Equal(2, set.Blocks.Count);
        long second = new FileInfo(_folder.File("2.safetensors")).Length;
        Assert.Equal(second + new FileInfo(_folder.File("1.safetensors")).Length, set.FileBytes);
        Assert.Equal([$"2.safetensors {second}/{set.FileBytes}", $"1.safetensors {set.FileBytes}/{set.FileBytes}"], progress);
        Assert.All(set.Blocks, block => Assert.Equal(resident, block is AlignedBuffer));
    }

    [Fact]
    public void Open_ASingleFileAndAnIndex_TakesTheSingleFile()
    {
        WriteShards("nonsense");
        _folder.Write("model.safetensors", File("{" + Tensor("only", "U8", "[1]", 0, 1) + "}", 1));
        using TensorSet set = Open();
        Assert.Equal(["only"], set.Tensors.Keys);
        Assert.Equal([$"{IndexName}: ignored, because model.safetensors is there too"], set.Warnings);
    }

    [Fact]
    public void Open_TensorsThatTheIndexPutsElsewhereOrNowhere_AreLeftOutWithAWarning()
    {
        _folder.Write("1.safetensors", File("{" + Tensor("a", "U8", "[1]", 0, 1) + "," + Tensor("both", "U8", "[1]", 1, 2) + "}", 2));
        IEnumerable<string> others = Enumerable.Range(1, 5).Select(i => Tensor($"x{i}", "U8", "[1]", (ulong)i, (ulong)i + 1));
        _folder.Write("2.safetensors", File("{" + Tensor("both", "U8", "[1]", 0, 1) + "," + string.Join(',', others) + "}", 6));
        _folder.Write(
            IndexName,
            "{\"metadata\":{\"total_size\":7},\"weight_map\":{\"a\":\"1.safetensors\",\"both\":\"1.safetensors\",\"x5\":\"2.safetensors\"}}");
        using TensorSet set = Open();
        Assert.Equal(["a", "both", "x5"], set.Tensors.Keys.Order());
        Assert.Equal([1], Bytes(set, "both"));
        Assert.Equal(
            [
                "2.safetensors: left out 5 tensors: 'both' (the index says 1.safetensors), 'x1' (not in the index), 'x2' (not in the index), ...",
                $"{IndexName}: total_size is 7, the tensors take 3 bytes",
            ],
            set.Warnings);
    }

    [Fact]
    public void Open_AShardWithoutAPromisedTensor_NamesBoth()
    {
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"missing\":\"2.safetensors\"}}");
        Assert.Contains("2.safetensors: 'missing': expected this tensor", Refused());
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\"}}");
        Assert.Contains("1.safetensors: 'c': expected this tensor", Refused());
    }

    [Fact]
    public void Open_FilesThatCannotBeRead_NamesThem()
    {
        Assert.Contains("expected model.safetensors or model.safetensors.index.json, found neither", Refused());
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}}");
        Assert.Contains("3.safetensors: expected a readable file, found: no such file", Refused());
        Directory.CreateDirectory(_folder.File("3.safetensors"));
        Assert.Contains("3.safetensors: expected a readable file", Refused());
        Directory.Delete(_folder.File("3.safetensors"));
        _folder.Write("3.safetensors", []);
        Assert.Contains("3.safetensors: expected a readable file", Refused());
        _folder.Write("3.safetensors", "PK\x3\x4 and so on");
        Assert.Contains("zip archive", Refused());
        _folder.Write(IndexName, []);
        Assert.Contains($"{IndexName}: expected 1 to", Refused());
    }

    [Fact]
    public void Open_AnUnreadableFileOrPipe_IsAModelFormatException()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Needs Linux's devices.");
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
        foreach (string device in new[] { "/dev/zero", "/dev/full", "/proc/self/mem", "/nowhere", _folder.File("loop") })
        {
            System.IO.File.Delete(_folder.File("2.safetensors"));
            System.IO.File.CreateSymbolicLink(_folder.File("2.safetensors"), device);
            if (!System.IO.Path.Exists(_folder.File("loop")) && device.EndsWith("loop", StringComparison.Ordinal))
            {
                System.IO.File.CreateSymbolicLink(device, device);
            }

            Assert.Contains("2.safetensors: expected a readable file", Refused());
        }
    }

    [Fact]
    public void Open_Links_AreFollowedUnlessForbidden()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making links needs a privilege.");
        WriteShards("{\"metadata\":{\"total_size\":6},\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"2.safetensors\"}}");
        using TempFolder blobs = new();
        foreach (string name in new[] { "2.safetensors", IndexName })
        {
            System.IO.File.Move(_folder.File(name), blobs.File(name));
            System.IO.File.CreateSymbolicLink(_folder.File(name), blobs.File(name));
            using TensorSet set = Open();
            Assert.Equal([0, 1, 2], Bytes(set, "c"));
            ModelFormatException e = Assert.Throws<ModelFormatException>(() => Open(new() { AllowSymlinks = false }));
            Assert.Equal($"{name}: expected a readable file, found: it is a symbolic link, which the options forbid", e.Message);
        }
    }

    [Fact]
    public void Open_ThatFailsOrIsCancelled_FreesWhatItOpened()
    {
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
        List<MemoryBlock> blocks = [];
        CheckpointLayout spying = CheckpointLayout.Safetensors with
        {
            ReadFile = (region, name) =>
            {
                blocks.Add(region.Block);
                return name == "2.safetensors" ? throw new ModelFormatException("second") : SafetensorsFile.Read(region, name);
            },
        };
        ModelFormatException e = Assert.Throws<ModelFormatException>(
            () => TensorSet.Open(_folder.Path, spying, null, TestContext.Current.CancellationToken));
        Assert.Equal("second", e.Message);
        Assert.Equal(2, blocks.Count);
        Assert.All(blocks, block => Assert.Throws<ObjectDisposedException>(() => block.Bytes(0, 1).Length));

        using CancellationTokenSource cancel = new();
        TensorSetOptions cancelling = new() { Progress = (_, _, _) => cancel.Cancel() };
        Assert.Throws<OperationCanceledException>(() => TensorSet.OpenSafetensors(_folder.Path, cancelling, cancel.Token));
        Assert.Throws<OperationCanceledException>(() => TensorSet.OpenSafetensors(_folder.Path, new() { Resident = true }, cancel.Token));
    }

    [Fact]
    public void Open_AFileThatChangesSizeMeanwhile_IsRefused()
    {
        WriteShards("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"2.safetensors\"}}");
        TensorSetOptions changing = new() { Progress = (_, _, _) => System.IO.File.AppendAllText(_folder.File("2.safetensors"), "x") };
        Assert.Contains("has just been changed", Assert.Throws<ModelFormatException>(() => Open(changing)).Message);
    }

    [Fact]
    public void FromBlocks_OwnsTheBlocks()
    {
        AlignedBuffer one = Block(File("{" + Tensor("a", "U8", "[2]", 0, 2) + "}", 2));
        AlignedBuffer two = Block(File("{" + Tensor("b", "U8", "[2]", 0, 2) + "}", 2));
        TensorSet set = TensorSet.FromBlocks([("1", one), ("2", two)], SafetensorsFile.Read);
        Assert.Equal(["a", "b"], set.Tensors.Keys.Order());
        set.Dispose();
        set.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Bytes(set, "a"));
    }

    [Fact]
    public void FromBlocks_WithoutAnIndex_RefusesATensorInTwoFiles()
    {
        AlignedBuffer one = Block(File("{" + Tensor("a", "U8", "[2]", 0, 2) + "}", 2));
        AlignedBuffer two = Block(File("{" + Tensor("a", "U8", "[2]", 0, 2) + "}", 2));
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => TensorSet.FromBlocks([("1", one), ("2", two)], SafetensorsFile.Read));
        Assert.Equal("2: 'a': expected each tensor once, found it in 1 too", e.Message);
        Assert.Throws<ObjectDisposedException>(() => one.Bytes(0, 1).Length);
        Assert.Throws<ObjectDisposedException>(() => two.Bytes(0, 1).Length);
    }

    [Fact]
    public void FromBlocks_WithAnIndex_ChecksItToo()
    {
        ShardedIndex index = ShardedIndex.Read("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}"u8, IndexName, ".safetensors");
        AlignedBuffer one = Block(File("{" + Tensor("a", "U8", "[2]", 0, 2) + "}", 2));
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => TensorSet.FromBlocks([("1.safetensors", one)], SafetensorsFile.Read, index));
        Assert.Equal($"2.safetensors: 'b': expected this tensor by {IndexName}, found none of the name", e.Message);
    }

    [Theory]
    [InlineData("stories260k", "F32", 1)]
    [InlineData("tiny-vicuna-f16-sharded", "F16", 2)]
    [InlineData("tiny-vicuna-bf16", "BF16", 1)]
    public void Open_APublishedLayout_GivesAllTensors(string model, string type, int files)
    {
        string folder = SharedFolder.Require($"models/{model}");
        using TensorSet set = Open(folder: folder);
        Assert.Equal(files, set.Blocks.Count);
        Assert.Empty(set.Warnings);
        Assert.Contains("model.layers.0.self_attn.q_proj.weight", set.Tensors.Keys);
        Assert.All(set.Tensors.Values, t => Assert.Equal((Enum.Parse<TensorType>(type), t.Info.ByteLength), (t.Info.Type, t.Region.Length)));
        Assert.Equal(2, set.Tensors["model.embed_tokens.weight"].Info.Shape.Length);
        Assert.True(set.FileBytes > set.Tensors.Values.Sum(t => t.Info.ByteLength));
    }

    private static byte[] Bytes(TensorSet set, string name) => set.Tensors[name].Region.Bytes(0, (int)set.Tensors[name].Region.Length).ToArray();

    private void WriteShards(string index)
    {
        _folder.Write("1.safetensors", File("{" + Tensor("a", "U8", "[2]", 0, 2) + "}", 2));
        _folder.Write("2.safetensors", File("{" + Tensor("c", "U8", "[3]", 0, 3) + "," + Tensor("b", "U8", "[1]", 3, 4) + "}", 4));
        _folder.Write(IndexName, index);
    }

    private TensorSet Open(TensorSetOptions? options = null, string? folder = null) =>
        TensorSet.OpenSafetensors(folder ?? _folder.Path, options, TestContext.Current.CancellationToken);

    private string Refused() => Assert.Throws<ModelFormatException>(() => Open()).Message;
}
