using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The widening of quantized blocks with vectors, against the scalar specification, bit by bit.</summary>
public sealed class BlockWideningTests
{
    private delegate void Widener(ReadOnlySpan<byte> blocks, Span<float> destination);

    // With the places of the halves in a block.
    private static readonly Dictionary<string, Format> Formats = new Format[]
    {
        Describe<Q8_0>(0),
        Describe<Q4_0>(0),
        Describe<Q4_1>(0, 2),
        Describe<Q5_0>(0),
        Describe<Q5_1>(0, 2),
        Describe<Q4_K>(0, 2),
        Describe<Q5_K>(0, 2),
        Describe<Q6_K>(208),
    }.ToDictionary(format => format.Name);

    public static TheoryData<string, string> Cases()
    {
        TheoryData<string, string> cases = [];
        foreach (string format in Formats.Keys)
        {
            foreach (string tier in KernelCases.Tiers)
            {
                cases.Add(format, tier);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeVector_RandomBytesBetweenGuardPages_GivesTheBitsOfTheSpecification(string formatName, string tierName)
    {
        Format format = Formats[formatName];
        Random random = new(1);
        using Pair pair = new(format, tierName);
        for (int count = 0; count <= 9; count++)
        {
            for (int round = 0; round < 40; round++)
            {
                pair.Check(RandomBlocks(format, count, random), round);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeVector_ExtremeHalves_GivesTheBitsOfTheSpecification(string formatName, string tierName)
    {
        Format format = Formats[formatName];
        Random random = new(2);
        using Pair pair = new(format, tierName);
        Half[] extremes =
        [
            Half.MaxValue, Half.MinValue, Half.Epsilon, -Half.Epsilon, (Half)6.1e-5, (Half)0.0, Half.NegativeZero, (Half)(-0.37), (Half)1.0009765625,
            Half.PositiveInfinity, Half.NegativeInfinity, Half.NaN,
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

                    pair.Check(blocks, fill);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeVector_EveryHalf_GivesTheBitsOfTheSpecification(string formatName, string tierName)
    {
        Format format = Formats[formatName];
        using Pair pair = new(format, tierName);
        const int together = 64;
        byte[] blocks = RandomBlocks(format, together, new Random(3));
        for (int bits = 0; bits <= ushort.MaxValue; bits += together)
        {
            for (int block = 0; block < together; block++)
            {
                foreach (int at in format.Halves)
                {
                    BitConverter.TryWriteBytes(blocks.AsSpan((block * format.Bytes) + at), (ushort)(bits + block));
                }
            }

            pair.Check(blocks, bits / together);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeVector_AnyByteOffset_GivesTheSameBits(string formatName, string tierName)
    {
        Format format = Formats[formatName];
        byte[] stored = RandomBlocks(format, 3, new Random(4));
        float[] expected = new float[3 * format.Elements];
        format.Dequantize(stored, expected);
        byte[] bytes = new byte[stored.Length + 64];
        float[] values = new float[expected.Length + 16];
        for (int offset = 0; offset < 64; offset++)
        {
            stored.CopyTo(bytes, offset);
            Span<float> destination = values.AsSpan(offset % 16, expected.Length);
            format.Wideners[tierName](bytes.AsSpan(offset, stored.Length), destination);
            KernelCases.AssertSameBits(expected, destination, $"offset {offset}");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void DequantizeVector_WrongLengths_Throws(string formatName, string tierName)
    {
        Format format = Formats[formatName];
        foreach ((int bytes, int elements) in new[]
        {
            (format.Bytes - 1, format.Elements), (format.Bytes + 1, format.Elements), (format.Bytes, format.Elements - 1), (format.Bytes, format.Elements + 1),
            (format.Bytes, 0), (0, format.Elements), (2 * format.Bytes, format.Elements), (format.Bytes, 2 * format.Elements),
        })
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() => format.Wideners[tierName](new byte[bytes], new float[elements]));
            Assert.Contains(formatName, error.Message, StringComparison.Ordinal);
        }
    }

    // Random scales are seldom of the ordinary size; half of the blocks get such.
    private static byte[] RandomBlocks(Format format, int count, Random random)
    {
        byte[] blocks = new byte[count * format.Bytes];
        random.NextBytes(blocks);
        for (int block = 0; block < count; block += 2)
        {
            foreach (int at in format.Halves)
            {
                SetHalf(blocks, (block * format.Bytes) + at, (Half)((random.NextDouble() - 0.5) * 2));
            }
        }

        return blocks;
    }

    private static void SetHalf(byte[] bytes, int at, Half value) => BitConverter.TryWriteBytes(bytes.AsSpan(at), value);

    private static Format Describe<T>(params int[] halves)
        where T : struct, IWeightFormat<T>
    {
        Dictionary<string, Widener> wideners = new()
        {
            [Scalar.Name] = T.DequantizeVector<Scalar>,
            [Avx2.Name] = T.DequantizeVector<Avx2>,
            [Avx512.Name] = T.DequantizeVector<Avx512>,
        };
        return new(T.Name, T.BlockElements, T.BlockBytes, halves, T.Dequantize, wideners);
    }

    private sealed record Format(string Name, int Elements, int Bytes, int[] Halves, Widener Dequantize, Dictionary<string, Widener> Wideners);

    /// <summary>Both wideners over the same blocks; the memory of the one with vectors lies between guard pages.</summary>
    private sealed class Pair(Format format, string tier) : IDisposable
    {
        private readonly GuardedBuffer _stored = GuardedBuffer.Allocate(64 * format.Bytes);
        private readonly GuardedBuffer _values = GuardedBuffer.Allocate(64 * format.Elements * sizeof(float));

        public void Check(byte[] blocks, int round)
        {
            bool atEnd = round % 2 == 0;
            float[] expected = new float[blocks.Length / format.Bytes * format.Elements];
            format.Dequantize(blocks, expected);
            Span<float> actual = _values.Slice<float>(expected.Length, atEnd);
            format.Wideners[tier](_stored.Copy<byte>(blocks, atEnd), actual);
            KernelCases.AssertSameBits(expected, actual, $"{blocks.Length / format.Bytes} blocks, round {round}");
        }

        public void Dispose()
        {
            _stored.Dispose();
            _values.Dispose();
        }
    }
}
