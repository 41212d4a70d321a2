using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using static Vicuna.Managed.Tests.Weights.SafetensorsBytes;

namespace Vicuna.Managed.Tests.Weights;

/// <summary>What must load. The ids are those of the list of cases that the reader was built against; R* is in <see cref="SafetensorsRefusalTests"/>.</summary>
public sealed class SafetensorsFileTests
{
    private const string Test = "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";

    /// <summary>Id, header, bytes of data, and every tensor as <c>name type[shape] firstByte+length</c>.</summary>
    public static TheoryData<string, string, int, string> Good => new()
    {
        { "A1", Test, 16, "test I32[2,2] 0+16" },
        { "A2", "{\"test\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "test I32[] 0+4" },
        { "A3", "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}", 0, "test I32[2,0] 0+0" },
        { "A4", "{}      ", 0, "" },
        { "A5", "{\"__metadata__\":{\"framework\":\"pt\"}}     ", 0, "" },
        { "A6", "{}\r \t\n", 0, "" },
        { "A7", "\t\n{}\r ", 0, "" },
        { "A8", $"{{\"__metadata__\":{{\"framework\":\"pt\"}},{Tensor("test1", "I32", "[2,2]", 0, 16)}}}       ", 16, "test1 I32[2,2] 0+16" },
        { "A9", "{\"attn.0\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[0,1]}}    ", 1, "attn.0 F4[1,2] 0+1" },
        { "A9 F6", "{\"a\":{\"dtype\":\"F6_E3M2\",\"shape\":[2,4],\"data_offsets\":[0,6]}}", 6, "a F6_E3M2[2,4] 0+6" },
        { "A10", $"{{{Tensor("a", "U8", "[1]", 1, 2)},{Tensor("b", "U8", "[1]", 0, 1)}}}", 2, "b U8[1] 0+1;a U8[1] 1+1" },
        {
            "A12",
            $"{{{Tensor("d", "F32", "[0]", 16, 16)},{Tensor("e", "U8", "[0,9223372036854775807]", 16, 16)},"
                + $"{Tensor("a", "F32", "[0]", 0, 0)},{Tensor("b", "U8", "[3,0]", 0, 0)},{Tensor("c", "F32", "[4]", 0, 16)}}}",
            16,
            "a F32[0] 0+0;b U8[3,0] 0+0;c F32[4] 0+16;d F32[0] 0+0;e U8[0,9223372036854775807] 0+0"
        },
        { "A13 null", $"{{\"__metadata__\":null,{Tensor("a", "U8", "[1]", 0, 1)}}}", 1, "a U8[1] 0+1" },
        {
            "A13 extra",
            "{\"a\":{\"x\":{\"y\":[1,{},[]],\"z\":\"\\u00e9\"},\"dtype\":\"U8\",\"e\":[],\"shape\":[1],\"n\":1e9,\"data_offsets\":[0,1],\"o\":{}}}",
            1,
            "a U8[1] 0+1"
        },
        { "rank 8", $"{{{Tensor("a", "U8", "[1,1,1,1,1,1,1,2]", 0, 2)}}}", 2, "a U8[1,1,1,1,1,1,1,2] 0+2" },
        { "escaped fields", "{\"a\":{\"\\u0064type\":\"\\u00558\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "a U8[1] 0+1" },
    };

    public static TheoryData<string> TypeNames =>
        [.. Enum.GetValues<TensorType>().Where(t => t < TensorType.Q4_0).Select(t => t == TensorType.Bool ? "BOOL" : t.ToString())];

    [Theory]
    [MemberData(nameof(Good))]
    public void Read_AGoodFile_GivesItsTensors(string id, string header, int dataBytes, string expected)
    {
        byte[] file = SafetensorsBytes.File(header, dataBytes);
        Dictionary<string, (TensorInfo Info, byte[] Bytes)> tensors = Read(file);
        IEnumerable<string> found = tensors.Values.Select(t =>
            $"{t.Info.Name} {t.Info.Type}[{string.Join(',', t.Info.Shape)}] {(t.Bytes.Length > 0 ? t.Bytes[0] : 0)}+{t.Bytes.Length}");
        Assert.True(expected.Split(';', StringSplitOptions.RemoveEmptyEntries).Order().SequenceEqual(found.Order()), $"{id}: {string.Join(';', found)}");
        Assert.All(tensors.Values, t => Assert.Equal(("x.safetensors", (long)t.Bytes.Length), (t.Info.FileName, t.Info.ByteLength)));
    }

    [Fact]
    public void Read_TensorsInAnyOrder_ListsThemInTheOrderOfTheirBytes()
    {
        using AlignedBuffer block = Block(SafetensorsBytes.File($"{{{Tensor("a", "U8", "[1]", 1, 2)},{Tensor("b", "U8", "[1]", 0, 1)}}}", 2));
        Assert.Equal(["b", "a"], SafetensorsFile.Read(block.Region, "x").Select(t => t.Info.Name));
    }

    [Theory]
    [MemberData(nameof(TypeNames))]
    public void Read_EachType_TakesTheSizeOfItsElements(string type)
    {
        TensorType expected = type == "BOOL" ? TensorType.Bool : Enum.Parse<TensorType>(type);
        int bytes = 4 / expected.BlockElements() * expected.BlockBytes();
        Assert.Equal(expected, Read(SafetensorsBytes.File($"{{{Tensor("a", type, "[4]", 0, (ulong)bytes)}}}", bytes))["a"].Info.Type);
        Refused(SafetensorsBytes.File($"{{{Tensor("a", type, "[4]", 0, (ulong)bytes + 1)}}}", bytes + 1));
    }

    [Fact]
    public void Read_A11_DataAtEveryAlignment_GivesTheSameBytes()
    {
        string header = $"{{{Tensor("a", "F32", "[4]", 0, 16)}}}";
        for (int padding = 0; padding < 64; padding++)
        {
            Assert.Equal([.. Enumerable.Range(0, 16).Select(i => (byte)i)], Read(SafetensorsBytes.File(header + new string(' ', padding), 16))["a"].Bytes);
        }
    }

    [Fact]
    public void Read_A14_TheLargestHeader_IsReadInLittleMemoryAndTime()
    {
        using AlignedBuffer block = AlignedBuffer.Allocate(8 + 100_000_000);
        Span<byte> file = block.Writable(0, (int)block.Length);
        file.Fill((byte)' ');
        new byte[] { 0x00, 0xe1, 0xf5, 0x05, 0, 0, 0, 0 }.CopyTo(file);
        "{}"u8.CopyTo(file[8..]);
        using Budget budget = new(seconds: 5, megabytes: 1);
        Assert.Empty(SafetensorsFile.Read(block.Region, "x"));
    }

    [Fact]
    public void Read_A15_ValuesAreNotLookedAt()
    {
        byte[] file = SafetensorsBytes.File($"{{{Tensor("a", "F32", "[3]", 0, 12)}}}", 12);
        byte[] values = [0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x7f, 1, 0, 0, 0];
        values.CopyTo(file, file.Length - 12);
        Assert.Equal(values, Read(file)["a"].Bytes);
    }

    [Fact]
    public void Read_NamesThatLookAlike_AreDifferentTensors()
    {
        string[] names = ["\u00e9", "e\u0301", "\\u0000", "\\n", "a/b", "A", "a", new string('n', 1_000_000), "", "\\ud83e\\udd99"];
        string header = $"{{{string.Join(',', names.Select((name, i) => Tensor(name, "U8", "[1]", (ulong)i, (ulong)i + 1)))}}}";
        Dictionary<string, (TensorInfo Info, byte[] Bytes)> tensors = Read(SafetensorsBytes.File(header, names.Length));
        Assert.Equal(names.Length, tensors.Count);
        Assert.Equal([0], tensors["\u00e9"].Bytes);
        Assert.Equal([1], tensors["e\u0301"].Bytes);
        Assert.Equal([2], tensors["\0"].Bytes);
        Assert.Equal([9], tensors["\U0001f999"].Bytes);
    }

    [Fact]
    public void Read_Metadata_IsGiven()
    {
        using AlignedBuffer block = Block(SafetensorsBytes.File("{\"\\u005f_metadata__\":{\"format\":\"pt\",\"\\u00e9\":\"\"}}"));
        SafetensorsFile.Read(block.Region, "x", out IReadOnlyDictionary<string, string> metadata);
        Assert.Equal(new Dictionary<string, string> { ["format"] = "pt", ["\u00e9"] = "" }, metadata);
    }

    [Fact]
    public void Read_ATensorBeyond4GiB_IsFoundWhereItLies()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Needs files that take no disk where nothing was written.");
        using TempFolder folder = new();
        const long Middle = (1L << 31) - 1000, Last = (1L << 32) - 1000, End = (1L << 32) + 1000;
        string header = $"{{{Tensor("last", "U8", $"[{End - Last}]", Last, End)},{Tensor("first", "U8", $"[{Middle}]", 0, Middle)},"
            + $"{Tensor("middle", "U8", $"[{Last - Middle}]", Middle, Last)}}}";
        byte[] start = SafetensorsBytes.File(header);
        string path = folder.Write("big.safetensors", start);
        using (FileStream stream = new(path, FileMode.Open))
        {
            stream.SetLength(start.Length + End);
            foreach (long position in new[] { Middle - 1, Middle, (1L << 31) - 1, 1L << 31, Last - 1, Last, (1L << 32) - 1, 1L << 32, End - 1 })
            {
                stream.Position = start.Length + position;
                stream.WriteByte((byte)(position % 251));
            }
        }

        using TensorSet set = TensorSet.OpenFile(path, SafetensorsFile.Read, null, TestContext.Current.CancellationToken);
        Assert.Equal(start.Length + End, set.FileBytes);
        byte At(string name, long begin, long position) => set.Tensors[name].Region.Bytes(position - begin, 1)[0];
        Assert.Equal((byte)((Middle - 1) % 251), At("first", 0, Middle - 1));
        Assert.Equal((byte)(Middle % 251), At("middle", Middle, Middle));
        Assert.Equal((byte)(((1L << 31) - 1) % 251), At("middle", Middle, (1L << 31) - 1));
        Assert.Equal((byte)((1L << 31) % 251), At("middle", Middle, 1L << 31));
        Assert.Equal((byte)((Last - 1) % 251), At("middle", Middle, Last - 1));
        Assert.Equal((byte)(Last % 251), At("last", Last, Last));
        Assert.Equal((byte)((1L << 32) % 251), At("last", Last, 1L << 32));
        Assert.Equal((byte)((End - 1) % 251), At("last", Last, End - 1));
        Assert.Equal(0, At("last", Last, End - 2));
    }
}
