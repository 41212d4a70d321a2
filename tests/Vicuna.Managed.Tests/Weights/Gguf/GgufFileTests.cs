using System.Diagnostics;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufFileTests
{
    [Theory]
    [InlineData(2u)]
    [InlineData(3u)]
    public void Read_WellFormedFile_TranslatesReversesAndLocates(uint version)
    {
        GgufBuilder builder = GgufBuilder.Create(version: version);
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        GgufFile file = GgufFile.Read(memory.Region, "good.gguf");

        Assert.Equal((int)version, file.Version);
        Assert.Equal(
            ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "rope_freqs.weight", "mystery"],
            file.Tensors.Select(tensor => tensor.Info.Name));
        Assert.Equal(["[3, 32]", "[4, 32]", "[32]", "[4]", "[3, 1, 2]"], file.Tensors.Select(tensor => tensor.Info.ShapeText));
        Assert.Equal([TensorType.F32, TensorType.Q8_0, TensorType.F32, TensorType.F32, TensorType.F32], file.Tensors.Select(tensor => tensor.Info.Type));
        foreach ((StoredTensor tensor, GgufBuilder.Tensor written) in file.Tensors.Zip(builder.Tensors))
        {
            Assert.Equal("good.gguf", tensor.Info.FileName);
            Assert.Equal(tensor.Info.ByteLength, tensor.Region.Length);
            Assert.Equal(written.Data, tensor.Region.Bytes(0, (int)tensor.Region.Length).ToArray());
        }
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(8u)]
    [InlineData(256u)]
    [InlineData(1u << 20)]
    public void Read_CustomAlignment_LocatesTheData(uint alignment)
    {
        GgufBuilder builder = GgufBuilder.Create().Pair("general.alignment", GgufBuilder.Value(4, alignment));
        builder.Alignment = (int)alignment;
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        StoredTensor last = GgufFile.Read(memory.Region, "good.gguf").Tensors[^1];
        Assert.Equal(builder.Tensors[^1].Data, last.Region.Bytes(0, 24).ToArray());
    }

    [Fact]
    public void Read_TrailingBytes_IgnoresThem()
    {
        GgufBuilder builder = GgufBuilder.Create();
        builder.CutFromEnd = -1000;
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        Assert.Equal(5, GgufFile.Read(memory.Region, "good.gguf").Tensors.Count);
    }

    [Fact]
    public void Read_OffsetsOutOfOrder_LocatesTheData()
    {
        GgufBuilder builder = new();
        builder.Tensors.Add(new("second", [8], GgufBuilder.F32) { Offset = 32, Data = [.. Enumerable.Repeat((byte)1, 32)] });
        builder.Tensors.Add(new("first", [8], GgufBuilder.F32) { Offset = 0, Data = [.. Enumerable.Repeat((byte)2, 32)] });
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        IReadOnlyList<StoredTensor> tensors = GgufFile.Read(memory.Region, "good.gguf").Tensors;
        Assert.Equal(2, tensors[0].Region.Bytes(0, 1)[0]);
        Assert.Equal(1, tensors[1].Region.Bytes(0, 1)[0]);
    }

    [Fact]
    public void Read_ZeroDimension_GivesAnEmptyTensor()
    {
        GgufBuilder builder = new();
        builder.Tensors.Add(new("none", [4, 0], GgufBuilder.F32));
        builder.Tensors.Add(new("some", [4], GgufBuilder.F32));
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        IReadOnlyList<StoredTensor> tensors = GgufFile.Read(memory.Region, "good.gguf").Tensors;
        Assert.Equal((0L, 0L, "[0, 4]"), (tensors[0].Region.Length, tensors[0].Info.ElementCount, tensors[0].Info.ShapeText));
        Assert.Equal(16, tensors[1].Region.Length);
    }

    [Fact]
    public void Read_NoTensorsAndNoPadding_Reads()
    {
        using AlignedBuffer memory = Regions.Copy(new GgufBuilder().Pair("general.architecture", GgufBuilder.Text("llama")).Build());
        GgufFile file = GgufFile.Read(memory.Region, "good.gguf");
        Assert.Empty(file.Tensors);
        Assert.Single(file.Metadata.Keys);
    }

    [Fact]
    public void Read_OtherArchitecture_KeepsNames()
    {
        GgufBuilder builder = new();
        builder.Pair("general.architecture", GgufBuilder.Text("gemma")).Tensors.Add(new("token_embd.weight", [4], GgufBuilder.F32));
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        Assert.Equal("token_embd.weight", GgufFile.Read(memory.Region, "good.gguf").Tensors[0].Info.Name);
    }

    [Fact]
    public void Read_SplitCountOfOne_Reads()
    {
        using AlignedBuffer memory = Regions.Copy(GgufBuilder.Create().Pair("split.count", GgufBuilder.Value(2, (ushort)1)).Build());
        Assert.Equal(5, GgufFile.Read(memory.Region, "good.gguf").Tensors.Count);
    }

    [Fact]
    public void Read_TensorsOf300Gigabytes_ChecksOnlyTheHeader()
    {
        // Sizes that a real file has and this one lacks: refused by arithmetic in 64 bits, without touching or allocating anything.
        GgufBuilder builder = new();
        builder.Tensors.Add(new("big", [1 << 19, 1 << 18], GgufBuilder.F32) { Data = new byte[64] });
        using AlignedBuffer memory = Regions.Copy(builder.Build());
        long before = GC.GetAllocatedBytesForCurrentThread();
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => GgufFile.Read(memory.Region, "bad.gguf"));
        Assert.Contains("expected 549755813888 bytes", error.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Read_VocabularyOf256000_StaysFast()
    {
        byte[][] tokens = [.. Enumerable.Range(0, 256_000).Select(i => GgufBuilder.Chars($"▁token{i}"))];
        using AlignedBuffer memory = Regions.Copy(new GgufBuilder().Pair("tokenizer.ggml.tokens", GgufBuilder.Array(8, tokens)).Build());
        Stopwatch watch = Stopwatch.StartNew();
        GgufMetadata metadata = GgufFile.Read(memory.Region, "good.gguf").Metadata;
        Assert.True(metadata.TryGetStrings("tokenizer.ggml.tokens", out string[] read));
        Assert.True(watch.ElapsedMilliseconds < 2000, $"{watch.ElapsedMilliseconds} ms");
        Assert.Equal((256_000, "▁token255999"), (read.Length, read[^1]));
    }

    [Fact]
    public void Read_RandomFiles_GivesWhatWasWritten()
    {
        Random random = new(1);
        for (int round = 0; round < 200; round++)
        {
            GgufBuilder builder = new() { Version = (uint)random.Next(2, 4), Alignment = 1 << random.Next(0, 8) };
            builder.Pair("general.alignment", GgufBuilder.Value(4, (uint)builder.Alignment));
            int[] numbers = [.. Enumerable.Range(0, random.Next(0, 20)).Select(_ => random.Next(int.MinValue, int.MaxValue))];
            builder.Pair("numbers", GgufBuilder.Array(5, [.. numbers.Select(GgufBuilder.Raw)]));
            for (int i = random.Next(0, 12); i > 0; i--)
            {
                ulong[] dimensions = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => (ulong)random.Next(1, 6))];
                builder.Tensors.Add(new($"tensor{i}", dimensions, GgufBuilder.F32));
            }

            using AlignedBuffer memory = Regions.Copy(builder.Build());
            GgufFile file = GgufFile.Read(memory.Region, "good.gguf");
            Assert.True(file.Metadata.TryGetInts("numbers", out int[] read));
            Assert.Equal(numbers, read);
            Assert.Equal(builder.Tensors.Select(t => t.Name), file.Tensors.Select(t => t.Info.Name));
            Assert.Equal(builder.Tensors.Select(t => t.Dimensions.Select(d => (long)d).Reverse()), file.Tensors.Select(t => t.Info.Shape.AsEnumerable()));
            Assert.Equal(builder.Tensors.Select(t => t.Data), file.Tensors.Select(t => t.Region.Bytes(0, (int)t.Region.Length).ToArray()));
        }
    }
}
