using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class BlockFormatTests
{
    private delegate void Dequantizer(ReadOnlySpan<byte> blocks, Span<float> destination);

    // Element i of a block as scale · quant + offset, found bit by bit: an independent statement of the layouts, in f64.
    private delegate (double Scale, int Quant, double Offset) Element(ReadOnlySpan<byte> block, int i);

    private static readonly Dictionary<string, Format> Formats = new Format[]
    {
        Describe<Q8_0>(TensorType.Q8_0, [0], static (b, i) => (F16(b, 0), (sbyte)b[2 + i], 0)),
        Describe<Q4_0>(TensorType.Q4_0, [0], static (b, i) => (F16(b, 0), Nibble(b, 2, i, 16) - 8, 0)),
        Describe<Q4_1>(TensorType.Q4_1, [0, 2], static (b, i) => (F16(b, 0), Nibble(b, 4, i, 16), F16(b, 2))),
        Describe<Q5_0>(TensorType.Q5_0, [0], static (b, i) => (F16(b, 0), Nibble(b, 6, i, 16) + (16 * Bits(b, 2, i, 1)) - 16, 0)),
        Describe<Q5_1>(TensorType.Q5_1, [0, 2], static (b, i) => (F16(b, 0), Nibble(b, 8, i, 16) + (16 * Bits(b, 4, i, 1)), F16(b, 2))),
        Describe<Q4_K>(
            TensorType.Q4_K,
            [0, 2],
            static (b, i) => (F16(b, 0) * Scale6(b, i / 32), Nibble(b, 16 + (i / 64 * 32), i % 64, 32), -F16(b, 2) * Minimum6(b, i / 32))),
        Describe<Q5_K>(
            TensorType.Q5_K,
            [0, 2],
            static (b, i) => (
                F16(b, 0) * Scale6(b, i / 32),
                Nibble(b, 48 + (i / 64 * 32), i % 64, 32) + (16 * Bits(b, 16 + (i % 32), i / 32, 1)),
                -F16(b, 2) * Minimum6(b, i / 32))),
        Describe<Q6_K>(
            TensorType.Q6_K,
            [208],
            static (b, i) => (
                F16(b, 208) * (sbyte)b[192 + (i / 16)],
                Nibble(b, i / 128 * 64, i % 128, 64) + (16 * Bits(b, 128 + (i / 128 * 32) + (i % 32), i % 128 / 32 * 2, 2)) - 32,
                0)),
    }.ToDictionary(format => format.Name);

    public static TheoryData<string> Names() => [.. Formats.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void NameAndSizes_Format_AgreeWithTensorTypes(string name)
    {
        Format format = Formats[name];
        Assert.Equal((format.Type.BlockElements(), format.Type.BlockBytes()), (format.Elements, format.Bytes));
        Assert.Equal(format.Type.ToString().ToLowerInvariant(), name);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dequantize_RandomBlocks_EqualsReferenceForEveryCount(string name)
    {
        Format format = Formats[name];
        Random random = new(7);
        for (int count = 1; count <= 8; count++)
        {
            byte[] blocks = RandomBlocks(format, count, random);
            for (int block = 0; block < count; block++)
            {
                foreach (int at in format.Halves)
                {
                    SetHalf(blocks, (block * format.Bytes) + at, (Half)((random.NextDouble() - 0.5) * 2));
                }
            }

            Check(format, blocks);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dequantize_EachBitAlone_ReachesTheSameElement(string name)
    {
        Format format = Formats[name];
        for (int bit = 0; bit < format.Bytes * 8; bit++)
        {
            byte[] block = new byte[format.Bytes];
            foreach (int at in format.Halves)
            {
                SetHalf(block, at, (Half)0.5);
            }

            if (!format.Halves.Any(at => bit / 8 == at || bit / 8 == at + 1))
            {
                block[bit / 8] |= (byte)(1 << (bit % 8));
                Check(format, block);

                // The packed scales show only where the quants are not zero.
                block.AsSpan().Replace((byte)0, (byte)0x5a);
                Check(format, block);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dequantize_ZeroBlock_GivesZeros(string name)
    {
        Format format = Formats[name];
        float[] values = [.. Enumerable.Repeat(float.NaN, format.Elements)];
        format.Dequantize(new byte[format.Bytes], values);
        Assert.All(values, value => Assert.Equal(0f, value));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dequantize_ExtremeScales_EqualsReference(string name)
    {
        Format format = Formats[name];
        Random random = new(11);
        Half[] extremes =
        [
            Half.MaxValue, Half.MinValue, Half.Epsilon, -Half.Epsilon, (Half)6.1e-5, (Half)(-0.0), Half.PositiveInfinity, Half.NegativeInfinity, Half.NaN,
        ];
        foreach (Half first in extremes)
        {
            foreach (Half second in extremes)
            {
                foreach (byte fill in new byte[] { 0x00, 0xff, 0x80, 0x7f })
                {
                    byte[] blocks = [.. Enumerable.Repeat(fill, format.Bytes), .. RandomBlocks(format, 1, random)];
                    for (int block = 0; block < 2; block++)
                    {
                        SetHalf(blocks, (block * format.Bytes) + format.Halves[0], first);
                        SetHalf(blocks, (block * format.Bytes) + format.Halves[^1], second);
                    }

                    Check(format, blocks);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Dequantize_WrongLengths_Throws(string name)
    {
        Format format = Formats[name];
        foreach ((int bytes, int elements) in new[]
        {
            (format.Bytes - 1, format.Elements), (format.Bytes + 1, format.Elements), (format.Bytes, format.Elements - 1), (format.Bytes, format.Elements + 1),
            (format.Bytes, 0), (0, format.Elements), (2 * format.Bytes, format.Elements), (format.Bytes, 2 * format.Elements),
        })
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() => format.Dequantize(new byte[bytes], new float[elements]));
            Assert.Contains(name, error.Message, StringComparison.Ordinal);
        }

        format.Dequantize([], []);
    }

    private static void Check(Format format, byte[] blocks)
    {
        float[] actual = new float[blocks.Length / format.Bytes * format.Elements];
        format.Dequantize(blocks, actual);
        for (int i = 0; i < actual.Length; i++)
        {
            (double scale, int quant, double offset) = format.Element(blocks.AsSpan(i / format.Elements * format.Bytes, format.Bytes), i % format.Elements);
            double expected = (scale * quant) + offset;

            // Three roundings to f32, each of a number no larger than the sum of the parts' sizes.
            double tolerance = 3 * Math.Pow(2, -24) * (Math.Abs(scale * quant) + Math.Abs(offset));
            Assert.True(
                double.IsFinite(expected) ? Math.Abs(actual[i] - expected) <= tolerance : expected.Equals((double)actual[i]),
                $"{format.Name}: element {i}: expected {expected}, found {actual[i]}");
        }
    }

    private static byte[] RandomBlocks(Format format, int count, Random random)
    {
        byte[] blocks = new byte[count * format.Bytes];
        random.NextBytes(blocks);
        return blocks;
    }

    private static void SetHalf(byte[] bytes, int at, Half value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), value);

    private static int Bits(ReadOnlySpan<byte> block, int start, int bit, int count) => (block[start + (bit / 8)] >> (bit % 8)) & ((1 << count) - 1);

    // Element i of two runs of `run` nibbles: the first in the lower halves of `run` bytes, the second in their upper halves.
    private static int Nibble(ReadOnlySpan<byte> block, int start, int i, int run) => Bits(block, start + (i % run), i / run * 4, 4);

    private static int Scale6(ReadOnlySpan<byte> block, int group) =>
        group < 4 ? Bits(block, 4 + group, 0, 6) : Bits(block, 8 + group, 0, 4) + (16 * Bits(block, group, 6, 2));

    private static int Minimum6(ReadOnlySpan<byte> block, int group) =>
        group < 4 ? Bits(block, 8 + group, 0, 6) : Bits(block, 8 + group, 4, 4) + (16 * Bits(block, 4 + group, 6, 2));

    private static double F16(ReadOnlySpan<byte> block, int at)
    {
        int bits = block[at] | (block[at + 1] << 8);
        int exponent = (bits >> 10) & 31;
        int mantissa = bits & 1023;
        double size = exponent switch
        {
            0 => mantissa * Math.Pow(2, -24),
            31 => mantissa == 0 ? double.PositiveInfinity : double.NaN,
            _ => (1024 + mantissa) * Math.Pow(2, exponent - 25),
        };
        return bits >= 0x8000 ? -size : size;
    }

    private static Format Describe<T>(TensorType type, int[] halves, Element element)
        where T : struct, IWeightFormat<T> =>
        new(T.Name, type, T.BlockElements, T.BlockBytes, halves, T.Dequantize, element);

    private sealed record Format(string Name, TensorType Type, int Elements, int Bytes, int[] Halves, Dequantizer Dequantize, Element Element);
}
