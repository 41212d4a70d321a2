using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufMetadataTests : IDisposable
{
    private readonly AlignedBuffer _memory;
    private readonly GgufMetadata _metadata;

    public GgufMetadataTests()
    {
        GgufBuilder builder = GgufBuilder.Create();
        builder.Pair("nan", GgufBuilder.Value(6, float.NaN)).Pair("vast", GgufBuilder.Value(12, 1e300)).Pair("none", GgufBuilder.Array(8));
        _memory = Regions.Copy(builder.Build());
        _metadata = GgufFile.Read(_memory.Region, "file.gguf").Metadata;
    }

    public void Dispose() => _memory.Dispose();

    [Theory]
    [InlineData("u8", 200u)]
    [InlineData("u16", 60_000u)]
    [InlineData("u32", 4_000_000_000u)]
    [InlineData("llama.block_count", 1u)]
    public void TryGetUInt_AnyWidthThatFits_GivesTheValue(string key, uint expected)
    {
        Assert.True(_metadata.TryGetUInt(key, out uint value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("i8", "-100")]
    [InlineData("i16", "-30000")]
    [InlineData("i32", "-2000000000")]
    [InlineData("i64", "-9223372036854775808")]
    [InlineData("u64", "18446744073709551615")]
    public void TryGetUInt_OutOfRange_NamesKeyAndValue(string key, string value) => Refuses(() => _metadata.TryGetUInt(key, out _), key, $"found {value}");

    [Fact]
    public void TryGetInt_AboveInt32_NamesKeyAndValue()
    {
        Refuses(() => _metadata.TryGetInt("u32", out _), "u32", "found 4000000000");
        Assert.True(_metadata.TryGetInt("u16", out int value));
        Assert.Equal(60_000, value);
    }

    [Theory]
    [InlineData("f32", 1.5f)]
    [InlineData("f64", 2.5f)]
    [InlineData("u8", 200f)]
    [InlineData("i8", -100f)]
    public void TryGetFloat_AnyNumber_GivesTheValue(string key, float expected)
    {
        Assert.True(_metadata.TryGetFloat(key, out float value));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("nan")]
    [InlineData("vast")]
    public void TryGetFloat_NotFiniteAsSingle_NamesKey(string key) => Refuses(() => _metadata.TryGetFloat(key, out _), key, "finite");

    [Fact]
    public void TryGet_ScalarsOfTheirType_GivesTheValue()
    {
        Assert.True(_metadata.TryGetBool("bool", out bool truth) && truth);
        Assert.True(_metadata.TryGetString("text", out string text));
        Assert.Equal("héllo", text);
    }

    [Fact]
    public void TryGet_Arrays_GivesTheElements()
    {
        Assert.True(_metadata.TryGetStrings("tokenizer.ggml.tokens", out string[] tokens));
        Assert.Equal(["<unk>", "▁a", string.Empty], tokens);
        Assert.True(_metadata.TryGetFloats("tokenizer.ggml.scores", out float[] scores));
        Assert.Equal([0f, -1f, float.NegativeInfinity], scores);
        Assert.True(_metadata.TryGetFloats("doubles", out float[] doubles));
        Assert.Equal([0.25f, 0.5f], doubles);
        Assert.True(_metadata.TryGetInts("tokenizer.ggml.token_type", out int[] types));
        Assert.Equal([2, -1, 6], types);
        Assert.True(_metadata.TryGetInts("bytes", out int[] bytes));
        Assert.Equal([1, 2, 255], bytes);
        Assert.True(_metadata.TryGetStrings("none", out string[] none));
        Assert.Empty(none);
    }

    [Fact]
    public void TryGetInts_ElementOutOfRange_NamesKeyAndValue() => Refuses(() => _metadata.TryGetInts("long", out _), "long", "found 9223372036854775807");

    [Fact]
    public void TryGet_MissingKey_GivesFalse()
    {
        Assert.False(_metadata.TryGetUInt("absent", out _) || _metadata.TryGetInt("absent", out _) || _metadata.TryGetFloat("absent", out _));
        Assert.False(_metadata.TryGetBool("absent", out _) || _metadata.TryGetString("absent", out _) || _metadata.TryGetStrings("absent", out _));
        Assert.False(_metadata.TryGetFloats("absent", out _) || _metadata.TryGetInts("absent", out _) || _metadata.TryGetValue("absent", out _));
    }

    // The case that read beyond its buffer elsewhere: an array of bytes taken for one of floats or 32-bit integers.
    [Fact]
    public void TryGet_WrongType_NamesKeyAndBothTypes()
    {
        Refuses(() => _metadata.TryGetFloats("bytes", out _), "bytes", "expected an array of floats, found an array of 3 UInt8");
        Refuses(() => _metadata.TryGetStrings("bytes", out _), "bytes", "expected an array of strings, found an array of 3 UInt8");
        Refuses(() => _metadata.TryGetInts("tokenizer.ggml.scores", out _), "tokenizer.ggml.scores", "an array of integers, found an array of 3 Float32");
        Refuses(() => _metadata.TryGetInts("tokenizer.ggml.tokens", out _), "tokenizer.ggml.tokens", "found an array of 3 String");
        Refuses(() => _metadata.TryGetInts("u8", out _), "u8", "found a value of type UInt8");
        Refuses(() => _metadata.TryGetUInt("bytes", out _), "bytes", "expected an integer, found an array of 3 UInt8");
        Refuses(() => _metadata.TryGetUInt("f32", out _), "f32", "expected an integer, found a value of type Float32");
        Refuses(() => _metadata.TryGetUInt("bool", out _), "bool", "expected an integer, found a value of type Bool");
        Refuses(() => _metadata.TryGetFloat("text", out _), "text", "expected a number, found a value of type String");
        Refuses(() => _metadata.TryGetBool("u8", out _), "u8", "expected a truth value, found a value of type UInt8");
        Refuses(() => _metadata.TryGetString("bytes", out _), "bytes", "expected a string, found an array of 3 UInt8");
    }

    private static void Refuses(Action read, string key, string fragment)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(read);
        Assert.Equal(key, error.Item);
        Assert.StartsWith($"file.gguf: '{key}': ", error.Message, StringComparison.Ordinal);
        Assert.Contains(fragment, error.Message, StringComparison.Ordinal);
    }
}
