using Vicuna.Managed.Compression;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>A model without some of its blocks, in memory, against the written cut.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class RemovedBlocksTests : IDisposable
{
    private static readonly int[] Ids = [1, 300, 7, 42, 301, 9];

    private readonly TempFolder _temp = new();

    public RemovedBlocksTests()
    {
        // What earlier tests left for the finalizer must not be freed while these count.
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    public static TheoryData<string, Quantization, bool> Cases()
    {
        TheoryData<string, Quantization, bool> data = [];
        foreach (string model in (string[])["stories260k", "tiny-vicuna-f16-sharded", "tiny-vicuna-bin", "gguf/tiny-vicuna-Q4_K_M.gguf", "gguf/tiny-vicuna-Q8_0.gguf"])
        {
            data.Add(model, Quantization.None, false);
            data.Add(model, Quantization.None, true);
            data.Add(model, Quantization.Q8, false);
            data.Add(model, Quantization.Q4, true);
        }

        return data;
    }

    public void Dispose() => _temp.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Load_WithoutBlocks_IsTheWrittenCut(string name, Quantization quantization, bool copy)
    {
        string source = SharedFolder.Require($"models/{name}");
        int[] removed = [2, 0];
        PruneResult written = DepthPruner.Write(source, _temp.File("cut"), removed);
        LoadOptions options = new() { Threads = 2, Quantization = quantization, CopyToMemory = copy };
        long before = AlignedBuffer.AllocatedBytes;
        using LanguageModel cut = LanguageModel.Load(source, options with { RemovedBlocks = removed });
        long inMemory = AlignedBuffer.AllocatedBytes - before;
        using LanguageModel whole = LanguageModel.Load(written.Path, options);
        long fromFile = AlignedBuffer.AllocatedBytes - before - inMemory;

        Assert.Equal(ModelBytes.Logits(whole, Ids), ModelBytes.Logits(cut, Ids));
        Assert.Equal(whole.Config with { EosTokenIds = [] }, cut.Config with { EosTokenIds = [] });
        Assert.Equal(written.Parameters, cut.Info.ParameterCount);
        Assert.Equal(whole.Info.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.ByteLength)), cut.Info.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.ByteLength)));
        Assert.Equal(whole.Info.KeyValueBytesPerToken, cut.Info.KeyValueBytesPerToken);
        Assert.Equal(whole.Info.EstimateMemory(5, threads: 2), cut.Info.EstimateMemory(5, threads: 2));

        // Files that are copied whole have a header too; nothing else makes a difference.
        Assert.InRange(fromFile - inMemory, 0, copy ? 1 << 16 : 0);
        if (!copy && quantization == Quantization.None && !name.Contains("Q8_0", StringComparison.Ordinal))
        {
            Assert.Equal(0, inMemory - cut.Info.EstimateMemory(1, threads: 2).WorkBytes);
        }
    }

    [Fact]
    public void LoadFiles_WithoutBlocks_RunsTheOthers()
    {
        TinyModel tiny = new(new TinyShape { Layers = 4 });
        TinyModel other = new(new TinyShape { Layers = 2 });
        other.Tensors.Clear();
        foreach ((string name, TinyTensor tensor) in tiny.Tensors.Where(item => !item.Key.Contains("layers.1.", StringComparison.Ordinal) && !item.Key.Contains("layers.2.", StringComparison.Ordinal)))
        {
            other.Tensors.Add(name.Replace("layers.3.", "layers.1.", StringComparison.Ordinal), tensor);
        }

        int[] ids = tiny.RandomTokens(9);
        using LanguageModel cut = tiny.Load(new LoadOptions { Threads = 1, RemovedBlocks = [1, 2] });
        using LanguageModel expected = other.Load(new LoadOptions { Threads = 1 });
        using LanguageModel uncut = tiny.Load(new LoadOptions { Threads = 1, RemovedBlocks = [] });
        Assert.Equal(ModelBytes.Logits(expected, ids), ModelBytes.Logits(cut, ids));
        Assert.Equal(4, uncut.Config.NumHiddenLayers);
        Assert.Empty(cut.Info.Warnings);
    }

    [Theory]
    [InlineData(new[] { 4 }, "numbers from 0 to 3, found 4")]
    [InlineData(new[] { -1 }, "numbers from 0 to 3, found -1")]
    [InlineData(new[] { 1, 2, 1 }, "every block once, found 1 twice")]
    [InlineData(new[] { 3, 2, 1, 0 }, "at least one of 4 blocks to stay, found none")]
    public void Load_WithoutBlocksThatCannotGo_SaysWhy(int[] removed, string problem)
    {
        TinyModel tiny = new(new TinyShape { Layers = 4 });
        Assert.Contains(problem, Assert.ThrowsAny<ArgumentException>(() => tiny.Load(new LoadOptions { RemovedBlocks = removed })).Message, StringComparison.Ordinal);
        string model = tiny.Write(_temp);
        Assert.Contains(problem, Assert.ThrowsAny<ArgumentException>(() => DepthPruner.Write(model, _temp.File("cut"), removed)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_temp.File("cut")));
    }
}
