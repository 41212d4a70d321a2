using System.Text;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;
using static Vicuna.Managed.Tests.Weights.SafetensorsBytes;

namespace Vicuna.Managed.Tests.Weights;

/// <summary>What must be refused, with the one exception type and a message that says why.</summary>
public sealed class SafetensorsRefusalTests
{
    private const string A1 = "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";

    /// <summary>Id, header, bytes of data, words of the message.</summary>
    public static TheoryData<string, string, int, string> BadHeaders => new()
    {
        { "D1", $"{{{Tensor("a", "U8", "[1]", 0, 1)},{Tensor("a", "U8", "[1]", 0, 1)}}}", 1, "'a': expected each tensor once" },
        { "D1 escape", $"{{{Tensor("a", "U8", "[1]", 0, 1)},{Tensor("\\u0061", "U8", "[1]", 1, 2)}}}", 2, "'a': expected each tensor once" },
        { "D2", "{\"a\":[\"U8\",[1],[0,1]]}", 1, "expected StartObject" },
        { "D3", "{\"a\":{\"dtype\":{\"U8\":null},\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "for dtype, found StartObject" },
        { "D4", $"{{{Tensor("a", "U8", "[0,18446744073709551615]", 0, 0)}}}", 0, "below 2^63, found 18446744073709551615" },
        { "D4 product", $"{{{Tensor("a", "U8", "[4611686018427387904,2,0]", 0, 0)}}}", 0, "fewer than 2^63" },
        { "D5", $"{{{Tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1)}}}", 1, "at most 8 dimensions" },
        { "R5 open", "{", 0, "damaged JSON" },
        { "R5 nothing", "", 0, "damaged JSON" },
        { "R5 spaces", "        ", 0, "damaged JSON" },
        { "R5 array", "[]", 0, "expected StartObject for the header, found StartArray" },
        { "R5 null", "null", 0, "found Null" },
        { "R5 number", "1", 0, "found Number" },
        { "R5 string", "\"x\"", 0, "found String" },
        { "R5 two", "{}{}", 0, "damaged JSON" },
        { "R5 NUL", "{}\0", 0, "damaged JSON" },
        { "R5 BOM", "\ufeff{}", 0, "damaged JSON" },
        { "R5 comma", $"{{{Tensor("a", "U8", "[1]", 0, 1)},}}", 1, "damaged JSON" },
        { "R5 shape comma", $"{{{Tensor("a", "U8", "[1,]", 0, 1)}}}", 1, "damaged JSON" },
        { "R5 comment", $"{{{Tensor("a", "U8", "[1]", 0, 1)}/**/}}", 1, "damaged JSON" },
        { "R5 quote", "{'a':1}", 0, "damaged JSON" },
        { "R5 NaN", $"{{{Tensor("a", "U8", "[NaN]", 0, 1)}}}", 1, "damaged JSON" },
        {
            "R6",
            $"{{{string.Join(',', Enumerable.Range(0, 10).Select(i => Tensor($"weight_{i}", "F32", "[2,2]", 0, 16)))}}}",
            16,
            "'weight_1': expected tensors that do not overlap"
        },
        { "R7 hole", $"{{{Tensor("a", "F32", "[1]", 0, 4)},{Tensor("b", "F32", "[1]", 8, 12)}}}", 12, "'b': expected data_offsets that begin at 4" },
        { "R7 start", $"{{{Tensor("a", "F32", "[1]", 4, 8)}}}", 8, "begin at 0" },
        { "R7 overlap", $"{{{Tensor("a", "F32", "[2]", 0, 8)},{Tensor("b", "F32", "[2]", 4, 12)}}}", 16, "begin at 8" },
        { "R7 backwards", $"{{{Tensor("a", "U8", "[1]", 2, 1)}}}", 2, "found data_offsets [2, 1]" },
        { "R7 backwards empty", $"{{{Tensor("a", "U8", "[0]", 1, 0)}}}", 1, "found data_offsets [1, 0]" },
        { "R7 wraps", $"{{{Tensor("a", "U8", "[2]", 18446744073709551615, 1)}}}", 2, "found data_offsets" },
        { "R7 middle", $"{{{Tensor("a", "F32", "[2]", 0, 8)},{Tensor("b", "U8", "[0]", 4, 4)}}}", 8, "begin at 8, found [4, 4]" },
        { "R9", A1, 14, "expected data up to byte 16, found 14 bytes" },
        { "R8", A1, 17, "expected 16 bytes after the header, found 17" },
        { "R8 empty", "{}      ", 1, "expected 0 bytes after the header, found 1" },
        { "R10", "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0, 4]}}", 0, "'test': expected 16 bytes" },
        { "R11", $"{{{Tensor("test", "I32", "[2,18446744073709551614]", 0, 16)}}}", 16, "below 2^63" },
        { "R11 bytes", $"{{{Tensor("test", "I32", "[2,9223372036854775807]", 0, 16)}}}", 16, "fewer than 2^63" },
        { "R11 times size", $"{{{Tensor("test", "I32", "[9223372036854775807]", 0, 16)}}}", 16, "fewer than 2^63" },
        { "R12", $"{{{Tensor("test", "I32", "[9223372036854775808,4,0]", 0, 0)}}}", 0, "below 2^63" },
        { "R13 F4", $"{{{Tensor("a", "F4", "[1,3]", 0, 2)}}}", 2, "expected whole bytes, found shape [1, 3] of F4" },
        { "R13 F6", $"{{{Tensor("a", "F6_E2M3", "[1]", 0, 1)}}}", 1, "expected whole bytes" },
        { "R14 no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]}}", 1, "data_offsets, found EndArray" },
        { "R14 one offset", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "data_offsets, found EndArray" },
        { "R14 three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "two data_offsets, found Number" },
        { "R15 no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "found no dtype" },
        { "R15 no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "found no shape" },
        { "R15 no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "found no data_offsets" },
        { "R15 twice", "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "expected dtype once" },
        { "R15 twice shape", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "expected shape once" },
        { "R15 f32", $"{{{Tensor("a", "f32", "[1]", 0, 4)}}}", 4, "'a': expected a known dtype, found 'f32'" },
        { "R15 F128", $"{{{Tensor("a", "F128", "[1]", 0, 16)}}}", 16, "found 'F128'" },
        { "R15 I4", $"{{{Tensor("a", "I4", "[2]", 0, 1)}}}", 1, "found 'I4'" },
        { "R15 FLOAT", $"{{{Tensor("a", "FLOAT", "[1]", 0, 4)}}}", 4, "found 'FLOAT'" },
        { "R15 Bool", $"{{{Tensor("a", "Bool", "[1]", 0, 1)}}}", 1, "found 'Bool'" },
        { "R15 Q4_0", $"{{{Tensor("a", "Q4_0", "[32]", 0, 18)}}}", 18, "found 'Q4_0'" },
        { "R15 number", "{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "for dtype, found Number" },
        { "R16 1", "{\"__metadata__\":1}", 0, "for __metadata__, found Number" },
        { "R16 x", "{\"__metadata__\":\"x\"}", 0, "for __metadata__, found String" },
        { "R16 []", "{\"__metadata__\":[]}", 0, "for __metadata__, found StartArray" },
        { "R16 a1", "{\"__metadata__\":{\"a\":1}}", 0, "'a': expected String" },
        { "R16 anull", "{\"__metadata__\":{\"a\":null}}", 0, "'a': expected String" },
        { "R16 a{}", "{\"__metadata__\":{\"a\":{}}}", 0, "'a': expected String" },
        { "R16 two", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "expected __metadata__ once" },
        { "R16 key twice", "{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"1\"}}", 0, "'a': expected each key" },
        { "R17", $"{{\"a\":{{\"x\":{new string('[', 100_000)}{new string(']', 100_000)}}}}}", 0, "damaged JSON" },
        { "R18 name", $"{{{Tensor("\\ud800", "U8", "[1]", 0, 1)}}}", 1, "damaged JSON" },
        { "R18 name low", $"{{{Tensor("\\udc00x", "U8", "[1]", 0, 1)}}}", 1, "damaged JSON" },
        { "R18 dtype", $"{{{Tensor("a", "\\ud800", "[1]", 0, 1)}}}", 1, "damaged JSON" },
        { "R18 field", "{\"a\":{\"\\ud800\":1,\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "damaged JSON" },
        { "R18 extra value", "{\"a\":{\"x\":[{\"y\":\"\\ud800\"}],\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "damaged JSON" },
        { "R18 metadata", "{\"__metadata__\":{\"a\":\"\\ud800\"}}", 0, "damaged JSON" },
        { "R18 control", "{\"__metadata__\":{\"a\":\"\n\"}}", 0, "damaged JSON" },
    };

    public static TheoryData<string, string> NumberSlots
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach ((string shape, string offsets) in new[] { ("2,#", "0,2"), ("2", "#,2"), ("2", "0,#") })
            {
                string slot = $"\"shape\":[{shape}],\"data_offsets\":[{offsets}]";
                foreach (string number in new[] { "-1", "-0", "1.0", "1e1", "01", "18446744073709551616", "1e400", "\"4\"", "true", "null", "[]", "{}" })
                {
                    data.Add(slot, number);
                }
            }

            return data;
        }
    }

    /// <summary>First bytes of files of other kinds, in hexadecimal, and how the message calls them.</summary>
    public static TheoryData<string, string> OtherKinds => new()
    {
        { Convert.ToHexString("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9976576392\n"u8), "a Git LFS pointer" },
        { Convert.ToHexString("<!DOCTYPE html>\n<html class=\"\">"u8), "a web page" },
        { Convert.ToHexString("\n  <html>"u8), "a web page" },
        { "1F8B0800000000000003ED5D", "a gzip archive" },
        { "504B0304140000000000F68F", "a zip archive" },
        { "504B03040000000000000000", "a zip archive" },
        { Convert.ToHexString("GGUF\x3\0\0\0\0\0\0\0"u8), "a GGUF file" },
        { "80028A0A6CFC9C46F9206AA85019", "a Python pickle" },
        { Convert.ToHexString("{\"error\":\"Entry not found\"}"u8), "JSON text" },
        { Convert.ToHexString("{}"u8), "JSON text" },
    };

    [Theory]
    [MemberData(nameof(BadHeaders))]
    public void Read_ABadHeader_IsRefused(string id, string header, int dataBytes, string message)
    {
        string found = Refused(SafetensorsBytes.File(header, dataBytes)).Message;
        Assert.True(found.Contains(message, StringComparison.Ordinal), $"{id}: {found}");
    }

    [Theory]
    [MemberData(nameof(NumberSlots))]
    public void Read_R14_ANumberThatIsNone_IsRefused(string fields, string number) =>
        Refused(SafetensorsBytes.File($"{{\"a\":{{\"dtype\":\"U8\",{fields.Replace("#", number)}}}}}", 2));

    [Fact]
    public void Read_R1_FewerThan8Bytes_AreRefused()
    {
        for (int length = 0; length < 8; length++)
        {
            Assert.Contains($"at least 8 bytes, found {length}", Refused(new byte[length]).Message);
        }
    }

    [Theory]
    [InlineData("R2", "3C00000000000000", "header of 60 bytes, found 0")]
    [InlineData("R2+1", "01000000000000007B7D", "damaged JSON")]
    [InlineData("R2-1", "03000000000000007B7D", "header of 3 bytes, found 2")]
    [InlineData("R2 max", "00E1F505000000007B7D", "header of 100000000 bytes, found 2")]
    [InlineData("R3", "3C00000000FFFFFF7B7D", "found length 18446742974197923900")]
    [InlineData("R3 all", "FFFFFFFFFFFFFFFF7B7D", "found length 18446744073709551615")]
    [InlineData("R3 negative", "00000000000000807B7D", "found length 9223372036854775808")]
    [InlineData("R3 one more", "01E1F505000000007B7D", "found length 100000001")]
    [InlineData("R4", "0100000000000000FF", "UTF-8")]
    public void Read_ABadLength_IsRefused(string id, string hex, string message)
    {
        string found = Refused(Convert.FromHexString(hex)).Message;
        Assert.True(found.Contains(message, StringComparison.Ordinal), $"{id}: {found}");
    }

    [Theory]
    [InlineData("C0AF")]
    [InlineData("EDA080")]
    [InlineData("F4908080")]
    [InlineData("E282")]
    [InlineData("FF")]
    public void Read_R4_BrokenUtf8InAName_IsRefused(string hex)
    {
        byte[] header = [.. "{\""u8, .. Convert.FromHexString(hex), .. "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"u8];
        Assert.Contains("UTF-8", Refused(SafetensorsBytes.File(header, 1)).Message);
    }

    [Fact]
    public void Read_R8_APolyglot_IsRefused() =>
        Assert.Contains("found 46", Refused([.. SafetensorsBytes.File(A1, 16), .. "extra_bogus_data_for_polyglot"u8, 0]).Message);

    [Theory]
    [MemberData(nameof(OtherKinds))]
    public void Read_R20_AFileOfAnotherKind_IsNamed(string hex, string kind) =>
        Assert.Contains($"; it looks like {kind}", Refused(Convert.FromHexString(hex)).Message);

    [Fact]
    public void Read_ANameWithTerminalEscapes_KeepsTheMessagePrintable()
    {
        string message = Refused(SafetensorsBytes.File($"{{{Tensor("\\u001b[2J\\n" + new string('x', 1000), "f32", "[1]", 0, 4)}}}", 4)).Message;
        Assert.DoesNotContain(message, char.IsControl);
        Assert.True(message.Length < 300, message);
    }

    [Fact]
    public void Read_R19_ASmallFileThatPromises1000Bytes_IsRefused()
    {
        byte[] file = SafetensorsBytes.File(A1, 16);
        file[0] = 0xe8;
        file[1] = 0x03;
        Assert.Contains("header of 1000 bytes, found 76", Refused(file).Message);
    }

    [Theory]
    [InlineData("[0,1000]", "[1000]", 1000)]
    [InlineData("[0,0]", "[0]", 0)]
    public void Read_R19_AHeaderFullOfTensorsAtOnePlace_IsRefusedInTime(string offsets, string shape, int dataBytes)
    {
        // Overlapping tensors end at the second one; empty ones may share a place and end at the cap.
        using AlignedBuffer block = Flood(i => $"\"{i}\":{{\"dtype\":\"U8\",\"shape\":{shape},\"data_offsets\":{offsets}}}", dataBytes);
        using Budget budget = new(seconds: dataBytes > 0 ? 2 : 10, megabytes: dataBytes > 0 ? 1 : 400);
        Assert.Contains(
            dataBytes > 0 ? "'1': expected tensors that do not overlap" : "at most 1000000 tensors",
            Assert.Throws<ModelFormatException>(() => SafetensorsFile.Read(block.Region, "x")).Message);
    }

    [Fact]
    public void Read_AHeaderFullOfMetadata_EndsAtTheCap()
    {
        using AlignedBuffer block = Flood(i => $"\"{i}\":\"\"", 0, "{\"__metadata__\":{", "}}");
        using Budget budget = new(seconds: 2, megabytes: 40);
        Assert.Contains("at most 100000 entries", Assert.Throws<ModelFormatException>(() => SafetensorsFile.Read(block.Region, "x")).Message);
    }

    // A header of nearly 100 MB, repeating an entry.
    private static AlignedBuffer Flood(Func<int, string> entry, int dataBytes, string open = "{", string close = "}")
    {
        const int HeaderBytes = 100_000_000;
        AlignedBuffer block = AlignedBuffer.Allocate(8 + HeaderBytes + dataBytes);
        Span<byte> file = block.Writable(0, (int)block.Length);
        file[8..].Fill((byte)' ');
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(file, HeaderBytes);
        int at = 8 + Encoding.ASCII.GetBytes(open, file[8..]);
        for (int i = 0; at < HeaderBytes - 100; i++)
        {
            at += Encoding.ASCII.GetBytes((i > 0 ? "," : "") + entry(i), file[at..]);
        }

        Encoding.ASCII.GetBytes(close, file[at..]);
        return block;
    }
}
