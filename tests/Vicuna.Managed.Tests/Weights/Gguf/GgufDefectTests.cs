using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufDefectTests
{
    // What the message must say: what it is about, and the number or type that was found.
    private static readonly Dictionary<GgufDefect, string[]> Expected = new()
    {
        [GgufDefect.MagicFugg] = ["'magic'", "0x47475546"],
        [GgufDefect.Version0] = ["'version'", "found 0"],
        [GgufDefect.Version1] = ["'version'", "found 1"],
        [GgufDefect.Version4] = ["'version'", "found 4"],
        [GgufDefect.BigEndian] = ["big-endian"],
        [GgufDefect.TensorCountNegative] = ["number of tensors", "18446744073709551615"],
        [GgufDefect.PairCountNegative] = ["number of metadata pairs", "18446744073709551615"],
        [GgufDefect.TensorCountAboveCap] = ["number of tensors", "at most 65536, found 65537"],
        [GgufDefect.PairCountAboveCap] = ["number of metadata pairs", "at most 65536, found 65537"],
        [GgufDefect.TensorCountBeyondFile] = ["number of tensors", "count of 65536 needs"],
        [GgufDefect.PairCountBeyondFile] = ["number of metadata pairs", "count of 65536 needs"],
        [GgufDefect.KeyLengthNegative] = ["'metadata key'", "18446744073709551615"],
        [GgufDefect.KeyEmpty] = ["'metadata key'", "found 0"],
        [GgufDefect.KeyTooLong] = ["'metadata key'", "found 65536"],
        [GgufDefect.KeyNotUtf8] = ["'metadata key'", "not UTF-8"],
        [GgufDefect.KeyTwice] = ["'u8'", "twice"],
        [GgufDefect.ValueTypeUnknown] = ["'bad'", "found 13"],
        [GgufDefect.BoolIsTwo] = ["'bad'", "0 or 1, found 2"],
        [GgufDefect.StringLengthNegative] = ["'bad'", "18446744073709551615"],
        [GgufDefect.StringBeyondFile] = ["'bad'", "expected 100000 bytes"],
        [GgufDefect.StringNotUtf8] = ["'bad'", "not UTF-8"],
        [GgufDefect.ArrayTypeUnknown] = ["'bad'", "found 13"],
        [GgufDefect.ArrayNested] = ["'bad'", "arrays of arrays"],
        [GgufDefect.ArrayCountTwoToThe63] = ["'bad'", "9223372036854775808"],
        [GgufDefect.ArrayCountAboveCap] = ["'bad'", "at most 2097152, found 2097153"],
        [GgufDefect.ArrayCountBeyondFile] = ["'bad'", "count of 10000 needs at least 40000 bytes"],
        [GgufDefect.ArrayStringNotUtf8] = ["'bad'", "not UTF-8"],
        [GgufDefect.ArrayStringBeyondFile] = ["'bad'", "expected 100000 bytes"],
        [GgufDefect.Alignment13] = ["'general.alignment'", "found 13"],
        [GgufDefect.Alignment0] = ["'general.alignment'", "found 0"],
        [GgufDefect.AlignmentInt32] = ["'general.alignment'", "UInt32", "Int32"],
        [GgufDefect.AlignmentTwoToThe31] = ["'general.alignment'", "found 2147483648"],
        [GgufDefect.SplitInTwo] = ["'split.count'", "2 parts"],
        [GgufDefect.SplitCountIsText] = ["'split.count'", "String"],
        [GgufDefect.ArchitectureIsNumber] = ["'general.architecture'", "UInt32"],
        [GgufDefect.NameTooLong] = ["'tensor name'", "found 65"],
        [GgufDefect.NameEmpty] = ["'tensor name'", "found 0"],
        [GgufDefect.NameNotUtf8] = ["'tensor name'", "not UTF-8"],
        [GgufDefect.NameTwice] = ["'rope_freqs.weight'", "twice"],
        [GgufDefect.NameTwiceOnceTranslated] = ["'model.norm.weight'", "twice"],
        [GgufDefect.Dimensions0] = ["'mystery'", "1 to 4 dimensions, found 0"],
        [GgufDefect.Dimensions5] = ["'mystery'", "1 to 4 dimensions, found 5"],
        [GgufDefect.DimensionNegative] = ["'mystery'", "18446744073709551615"],
        [GgufDefect.DimensionsTooBig] = ["'mystery'", "[2147483647, 2147483647, 2147483647, 2147483647]"],
        [GgufDefect.DimensionsWrapToZero] = ["'mystery'", "[4294967296, 4294967296]"],
        [GgufDefect.BytesTooMany] = ["'mystery'", "[2147483648, 1073741824]"],
        [GgufDefect.ZeroHidesOverflow] = ["'mystery'", "[4, 4611686018427387904, 0]"],
        [GgufDefect.RowNotWholeBlocks] = ["'mystery'", "multiple of 32", "found 16"],
        [GgufDefect.TypeUnknown] = ["'mystery'", "1000 (unknown)"],
        [GgufDefect.TypeUnsupported] = ["'mystery'", "IQ4_XS (23)"],
        [GgufDefect.OffsetNegative] = ["'mystery'", "18446744073709551584"],
        [GgufDefect.OffsetNotAligned] = ["'mystery'", "multiple of 32", "found 8"],
        [GgufDefect.OffsetBeyondFile] = ["'mystery'", "24 bytes at offset 1048576"],
        [GgufDefect.AlignmentInconsistent] = ["'output_norm.weight'", "multiple of 64", "found 544"],
        [GgufDefect.TensorsOverlap] = ["'mystery'", "'token_embd.weight'", "offset 32"],
        [GgufDefect.DataOneByteShort] = ["'mystery'", "24 bytes at offset 704 of the data, which has 727"],
        [GgufDefect.DataTwoHugeTensors] = ["'rope_freqs.weight'", "expected 9223372036854775744 bytes"],
    };

    public static TheoryData<GgufDefect, uint> Defects()
    {
        TheoryData<GgufDefect, uint> cases = [];
        foreach (GgufDefect defect in Enum.GetValues<GgufDefect>().Where(defect => defect != GgufDefect.None))
        {
            cases.Add(defect, 2);
            cases.Add(defect, 3);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Defects))]
    public void Read_Defect_NamesFileItemAndNumbers(GgufDefect defect, uint version)
    {
        byte[] file = GgufBuilder.Create(defect, version).Build();
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Read(file));
        Assert.StartsWith("bad.gguf: ", error.Message, StringComparison.Ordinal);
        Assert.Equal("bad.gguf", error.FileName);
        Assert.All(Expected[defect], fragment => Assert.Contains(fragment, error.Message, StringComparison.Ordinal));
        Assert.True(error.Message.Length < 400, error.Message);
    }

    [Fact]
    public void Read_ArrayOfTwoToThe63InATinyFile_Refuses()
    {
        GgufBuilder builder = new();
        byte[] file = builder.Pair("k", GgufBuilder.Array(0, 1ul << 63)).Build();
        Assert.True(file.Length < 64);
        Assert.Contains("9223372036854775808", Assert.Throws<ModelFormatException>(() => Read(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_StringsOf48Megabytes_RefusesTheTotal()
    {
        byte[] text = GgufBuilder.Text(new string('t', 1 << 24));
        byte[] file = new GgufBuilder().Pair("a", text).Pair("b", text).Pair("c", text).Build();
        string message = Assert.Throws<ModelFormatException>(() => Read(file)).Message;
        Assert.Contains("'b': expected keys and strings of at most 33554432", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_EveryTruncation_Refuses()
    {
        byte[] file = GgufBuilder.Create().Build();
        for (int length = 0; length < file.Length; length++)
        {
            Assert.Throws<ModelFormatException>(() => Read(file.AsSpan(0, length)));
        }
    }

    [Fact]
    public void Read_EverySupportedAndUnsupportedTypeNumber_ReadsOrNamesIt()
    {
        uint[] supported = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 24, 25, 26, 27, 28, 30];
        for (uint type = 0; type < 64; type++)
        {
            GgufBuilder builder = new();
            builder.Tensors.Add(new("t", [256], type) { Data = new byte[4096] });
            byte[] file = builder.Build();
            if (supported.Contains(type))
            {
                Read(file);
            }
            else
            {
                string message = Assert.Throws<ModelFormatException>(() => Read(file)).Message;
                Assert.Contains($"({(type < 40 ? type : "unknown")}) is not supported", message, StringComparison.Ordinal);
            }
        }
    }

    private static void Read(ReadOnlySpan<byte> file)
    {
        using AlignedBuffer memory = Regions.Copy(file);
        GgufFile.Read(memory.Region, "bad.gguf");
    }
}
