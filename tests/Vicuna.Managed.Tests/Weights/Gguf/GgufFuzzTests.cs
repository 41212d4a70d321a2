using System.Buffers.Binary;
using Vicuna.Managed.Tests.Fuzz;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufFuzzTests
{
    private static readonly ulong[] Extremes =
    [
        0, 1, 0x7f, 0xff, 0xffff, 0x1_0000, int.MaxValue, 0x8000_0000, uint.MaxValue, 1ul << 32, (1ul << 42) + 1, long.MaxValue, 1ul << 63, ulong.MaxValue,
    ];

    [Fact]
    public void Run_EveryBitOfTheHeaderFlipped_OnlyFormatErrors()
    {
        byte[] seed = GgufBuilder.Create().Build();
        int refused = 0;
        for (int bit = 0; bit < HeaderLength(seed) * 8; bit++)
        {
            byte[] input = [.. seed];
            input[bit >> 3] ^= (byte)(1 << (bit & 7));
            refused += Refuses(input) ? 1 : 0;
        }

        Assert.InRange(refused, 1000, seed.Length * 8);
    }

    [Fact]
    public void Run_EveryHeaderFieldSetToExtremes_OnlyFormatErrors()
    {
        byte[] seed = GgufBuilder.Create().Build();
        int refused = 0;
        for (int at = 0; at + sizeof(ulong) <= HeaderLength(seed); at++)
        {
            foreach (ulong extreme in Extremes)
            {
                byte[] input = [.. seed];
                BinaryPrimitives.WriteUInt64LittleEndian(input.AsSpan(at), extreme);
                refused += Refuses(input) ? 1 : 0;
            }
        }

        Assert.InRange(refused, 1000, seed.Length * Extremes.Length);
    }

    [Fact]
    public void Run_MutatedSeeds_OnlyFormatErrors()
    {
        IReadOnlyList<byte[]> seeds = GgufTarget.Seeds();
        Random random = new(20_240_501);
        int refused = 0;
        for (int round = 0; round < 6000; round++)
        {
            byte[] input = [.. seeds[random.Next(seeds.Count)]];
            for (int edits = random.Next(1, 4); edits > 0 && input.Length > 8; edits--)
            {
                input = Mutate(input, seeds[random.Next(seeds.Count)], random);
            }

            refused += Refuses(input) ? 1 : 0;
        }

        Assert.InRange(refused, 1000, 6000);
    }

    // The data's own bytes are not parsed; the first tensor's count up from 0.
    private static int HeaderLength(byte[] seed) => seed.AsSpan().IndexOf("\x00\x01\x02\x03\x04\x05\x06\x07"u8);

    private static byte[] Mutate(byte[] input, byte[] other, Random random)
    {
        int at = random.Next(input.Length);
        switch (random.Next(5))
        {
            case 0:
                input[at] ^= (byte)(1 << random.Next(8));
                return input;
            case 1:
                input[at] = (byte)random.Next(256);
                return input;
            case 2:
                return input[..at];
            case 3:
                int cut = random.Next(other.Length);
                return [.. input[..at], .. other[cut..]];
            default:
                BinaryPrimitives.WriteUInt64LittleEndian(input.AsSpan(Math.Min(at, input.Length - 8)), Extremes[random.Next(Extremes.Length)]);
                return input;
        }
    }

    private static bool Refuses(byte[] input)
    {
        try
        {
            GgufTarget.Run(input);
            return false;
        }
        catch (ModelFormatException)
        {
            return true;
        }
    }
}
