using System.Text;

namespace Vicuna.Managed.Tests.Weights.Gguf;

/// <summary>Writes GGUF files, good ones and, by <see cref="GgufDefect"/>, bad ones.</summary>
internal sealed class GgufBuilder
{
    public const uint F32 = 0;
    public const uint Q8_0 = 8;

    private readonly List<byte[]> _pairs = [];

    public uint Magic { get; set; } = 0x46554747;

    public uint Version { get; set; } = 3;

    public ulong? TensorCount { get; set; }

    public ulong? PairCount { get; set; }

    /// <summary>Alignment that the data is laid out with; the metadata says so only if a pair is added.</summary>
    public int Alignment { get; set; } = 32;

    public List<Tensor> Tensors { get; } = [];

    /// <summary>Bytes to remove from (negative: add to) the end.</summary>
    public int CutFromEnd { get; set; }

    /// <summary>A small file with every value type and a few tensors; with the defect, if any.</summary>
    public static GgufBuilder Create(GgufDefect defect = GgufDefect.None, uint version = 3)
    {
        GgufBuilder builder = new() { Version = version };
        builder.Pair("general.architecture", defect == GgufDefect.ArchitectureIsNumber ? Value(4, 5u) : Text("llama"));
        builder.Pair("u8", Value(0, (byte)200)).Pair("i8", Value(1, (sbyte)-100)).Pair("u16", Value(2, (ushort)60_000)).Pair("i16", Value(3, (short)-30_000));
        builder.Pair("u32", Value(4, 4_000_000_000u)).Pair("i32", Value(5, -2_000_000_000)).Pair("f32", Value(6, 1.5f)).Pair("bool", Value(7, (byte)1));
        builder.Pair("u64", Value(10, ulong.MaxValue)).Pair("i64", Value(11, long.MinValue)).Pair("f64", Value(12, 2.5)).Pair("text", Text("héllo"));
        builder.Pair("llama.block_count", Value(10, 1ul));
        builder.Pair("tokenizer.ggml.tokens", Array(8, Chars("<unk>"), Chars("▁a"), Chars(string.Empty)));
        builder.Pair("tokenizer.ggml.scores", Array(6, Raw(0f), Raw(-1f), Raw(float.NegativeInfinity)));
        builder.Pair("tokenizer.ggml.token_type", Array(5, Raw(2), Raw(-1), Raw(6)));
        builder.Pair("bytes", Array(0, [1], [2], [255])).Pair("long", Array(11, Raw(1L), Raw(long.MaxValue))).Pair("doubles", Array(12, Raw(0.25), Raw(0.5)));
        builder.Tensors.Add(new("token_embd.weight", [32, 3], F32));
        builder.Tensors.Add(new("blk.0.attn_q.weight", [32, 4], Q8_0));
        builder.Tensors.Add(new("output_norm.weight", [32], F32));
        builder.Tensors.Add(new("rope_freqs.weight", [4], F32));
        builder.Tensors.Add(new("mystery", [2, 1, 3], F32));
        builder.Apply(defect);
        return builder;
    }

    public static byte[] Raw<T>(T value)
        where T : unmanaged =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();

    public static byte[] Chars(string text) => Chars(Encoding.UTF8.GetBytes(text));

    public static byte[] Chars(byte[] utf8) => [.. Raw((ulong)utf8.Length), .. utf8];

    public static byte[] Text(string text) => [.. Raw(8u), .. Chars(text)];

    public static byte[] Value<T>(uint type, T value)
        where T : unmanaged => [.. Raw(type), .. Raw(value)];

    public static byte[] Array(uint type, params byte[][] elements) => Array(type, (ulong)elements.Length, elements);

    public static byte[] Array(uint type, ulong count, params byte[][] elements) => [.. Raw(9u), .. Raw(type), .. Raw(count), .. elements.SelectMany(e => e)];

    public GgufBuilder Pair(string key, byte[] typedValue) => Pair(Chars(key), typedValue);

    public GgufBuilder Pair(byte[] key, byte[] typedValue)
    {
        _pairs.Add([.. key, .. typedValue]);
        return this;
    }

    public byte[] Build()
    {
        MemoryStream file = new();
        file.Write(Raw(Magic));
        file.Write(Raw(Version));
        file.Write(Raw(TensorCount ?? (ulong)Tensors.Count));
        file.Write(Raw(PairCount ?? (ulong)_pairs.Count));
        _pairs.ForEach(pair => file.Write(pair));
        ulong offset = 0;
        foreach (Tensor tensor in Tensors)
        {
            file.Write(tensor.RawName ?? Chars(tensor.Name));
            file.Write(Raw((uint)tensor.Dimensions.Length));
            System.Array.ForEach(tensor.Dimensions, dimension => file.Write(Raw(dimension)));
            file.Write(Raw(tensor.Type));
            file.Write(Raw(tensor.Offset ?? offset));
            offset = (offset + (ulong)tensor.Data.Length + (ulong)Alignment - 1) / (ulong)Alignment * (ulong)Alignment;
        }

        foreach (Tensor tensor in Tensors)
        {
            file.Write(new byte[(Alignment - (file.Length % Alignment)) % Alignment]);
            file.Write(tensor.Data);
        }

        return [.. file.ToArray().Take((int)file.Length - CutFromEnd), .. new byte[Math.Max(0, -CutFromEnd)]];
    }

    private void Apply(GgufDefect defect)
    {
        Tensor last = Tensors[^1];
        byte[] badUtf8 = Chars([0x61, 0xc3, 0x28]);
        Action apply = defect switch
        {
            GgufDefect.None or GgufDefect.ArchitectureIsNumber => () => { },
            GgufDefect.MagicFugg => () => Magic = 0x47475546,
            GgufDefect.Version0 => () => Version = 0,
            GgufDefect.Version1 => () => Version = 1,
            GgufDefect.Version4 => () => Version = 4,
            GgufDefect.BigEndian => () => Version <<= 24,
            GgufDefect.TensorCountNegative => () => TensorCount = ulong.MaxValue,
            GgufDefect.PairCountNegative => () => PairCount = ulong.MaxValue,
            GgufDefect.TensorCountAboveCap => () => TensorCount = 65_537,
            GgufDefect.PairCountAboveCap => () => PairCount = 65_537,
            GgufDefect.TensorCountBeyondFile => () => TensorCount = 65_536,
            GgufDefect.PairCountBeyondFile => () => PairCount = 65_536,
            GgufDefect.KeyLengthNegative => () => Pair(Raw(ulong.MaxValue), Text("x")),
            GgufDefect.KeyEmpty => () => Pair(string.Empty, Text("x")),
            GgufDefect.KeyTooLong => () => Pair(new string('k', 65_536), Text("x")),
            GgufDefect.KeyNotUtf8 => () => Pair(badUtf8, Text("x")),
            GgufDefect.KeyTwice => () => Pair("u8", Text("x")),
            GgufDefect.ValueTypeUnknown => () => Pair("bad", Value(13, 0ul)),
            GgufDefect.BoolIsTwo => () => Pair("bad", Value(7, (byte)2)),
            GgufDefect.StringLengthNegative => () => Pair("bad", Value(8, ulong.MaxValue)),
            GgufDefect.StringBeyondFile => () => Pair("bad", Value(8, 100_000ul)),
            GgufDefect.StringNotUtf8 => () => Pair("bad", [.. Raw(8u), .. badUtf8]),
            GgufDefect.ArrayTypeUnknown => () => Pair("bad", Array(13, 0ul)),
            GgufDefect.ArrayNested => () => Pair("bad", Array(9, Array(0, [1]))),
            GgufDefect.ArrayCountTwoToThe63 => () => Pair("bad", Array(8, 1ul << 63)),
            GgufDefect.ArrayCountAboveCap => () => Pair("bad", Array(0, (1ul << 21) + 1)),
            GgufDefect.ArrayCountBeyondFile => () => Pair("bad", Array(4, 10_000ul)),
            GgufDefect.ArrayStringNotUtf8 => () => Pair("bad", Array(8, Chars("good"), badUtf8)),
            GgufDefect.ArrayStringBeyondFile => () => Pair("bad", Array(8, Chars("good"), Raw(100_000ul))),
            GgufDefect.Alignment13 => () => Pair("general.alignment", Value(4, 13u)),
            GgufDefect.Alignment0 => () => Pair("general.alignment", Value(4, 0u)),
            GgufDefect.AlignmentInt32 => () => Pair("general.alignment", Value(5, 32)),
            GgufDefect.AlignmentTwoToThe31 => () => Pair("general.alignment", Value(4, 1u << 31)),
            GgufDefect.SplitInTwo => () => Pair("split.count", Value(2, (ushort)2)),
            GgufDefect.SplitCountIsText => () => Pair("split.count", Text("2")),
            GgufDefect.NameTooLong => () => Tensors[^1] = last with { Name = new string('n', 65) },
            GgufDefect.NameEmpty => () => Tensors[^1] = last with { Name = string.Empty },
            GgufDefect.NameNotUtf8 => () => Tensors[^1] = last with { RawName = badUtf8 },
            GgufDefect.NameTwice => () => Tensors[^1] = last with { Name = "rope_freqs.weight" },
            GgufDefect.NameTwiceOnceTranslated => () => Tensors[^1] = last with { Name = "model.norm.weight" },
            GgufDefect.Dimensions0 => () => Tensors[^1] = last with { Dimensions = [] },
            GgufDefect.Dimensions5 => () => Tensors[^1] = last with { Dimensions = [1, 1, 1, 1, 6] },
            GgufDefect.DimensionNegative => () => Tensors[^1] = last with { Dimensions = [2, ulong.MaxValue] },
            GgufDefect.DimensionsTooBig => () => Tensors[^1] = last with { Dimensions = [int.MaxValue, int.MaxValue, int.MaxValue, int.MaxValue] },
            GgufDefect.DimensionsWrapToZero => () => Tensors[^1] = last with { Dimensions = [1ul << 32, 1ul << 32] },
            GgufDefect.BytesTooMany => () => Tensors[^1] = last with { Dimensions = [1ul << 30, 1ul << 31] },
            GgufDefect.ZeroHidesOverflow => () => Tensors[^1] = last with { Dimensions = [0, 1ul << 62, 4] },
            GgufDefect.RowNotWholeBlocks => () => Tensors[^1] = last with { Dimensions = [16, 2], Type = Q8_0 },
            GgufDefect.TypeUnknown => () => Tensors[^1] = last with { Type = 1000 },
            GgufDefect.TypeUnsupported => () => Tensors[^1] = last with { Type = 23 },
            GgufDefect.OffsetNegative => () => Tensors[^1] = last with { Offset = ulong.MaxValue - 31 },
            GgufDefect.OffsetNotAligned => () => Tensors[^1] = last with { Offset = 8 },
            GgufDefect.OffsetBeyondFile => () => Tensors[^1] = last with { Offset = 1 << 20 },
            GgufDefect.AlignmentInconsistent => () => Pair("general.alignment", Value(4, 64u)),
            GgufDefect.TensorsOverlap => () => Tensors[^1] = last with { Offset = 32 },
            GgufDefect.DataOneByteShort => () => CutFromEnd = 1,
            GgufDefect.DataTwoHugeTensors => () =>
            {
                Tensors[^2] = Tensors[^2] with { Dimensions = [0x7FFFFFFFFFFFFFC0], Type = 24 };
                Tensors[^1] = last with { Dimensions = [0x7FFFFFFFFFFFFFC0], Type = 24, Offset = 0x7FFFFFFFFFFFFFC0 };
            },
            _ => throw new ArgumentOutOfRangeException(nameof(defect), defect, null),
        };
        apply();
    }

    /// <summary>A tensor as the file declares it; what is not set follows from the rest.</summary>
    internal sealed record Tensor(string Name, ulong[] Dimensions, uint Type)
    {
        public byte[]? RawName { get; init; }

        public ulong? Offset { get; init; }

        /// <summary>Bytes 0, 1, 2, ...; as many as the well-formed file's tensor has, whatever a defect declares.</summary>
        public byte[] Data { get; init; } = [.. Enumerable.Range(0, ByteLength(Dimensions, Type)).Select(i => (byte)i)];

        private static int ByteLength(ulong[] dimensions, uint type)
        {
            int elements = (int)dimensions.Aggregate(1ul, (product, dimension) => product * dimension);
            return type == Q8_0 ? elements / 32 * 34 : elements * 4;
        }
    }
}
