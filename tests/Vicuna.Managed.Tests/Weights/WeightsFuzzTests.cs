using Vicuna.Managed.Tests.Fuzz;

namespace Vicuna.Managed.Tests.Weights;

/// <summary>A short, repeatable part of what the fuzzer does at length.</summary>
public sealed class WeightsFuzzTests
{
    private const int Rounds = 3000;

    [Fact]
    public void Safetensors_MutatedFiles_LoadOrAreRefused() => Replay(SafetensorsTarget.Seeds(), SafetensorsTarget.Run);

    [Fact]
    public void ShardedIndex_MutatedFiles_LoadOrAreRefused() => Replay(ShardedIndexTarget.Seeds(), ShardedIndexTarget.Run);

    [Fact]
    public void Safetensors_EveryFlippedBitAndEveryCut_LoadsOrIsRefused()
    {
        foreach (byte[] seed in SafetensorsTarget.Seeds())
        {
            for (int bit = 0; bit < seed.Length * 8; bit++)
            {
                byte[] flipped = [.. seed];
                flipped[bit / 8] ^= (byte)(1 << (bit % 8));
                SafetensorsTarget.Run(flipped);
            }

            for (int length = 0; length < seed.Length; length++)
            {
                SafetensorsTarget.Run(seed[..length]);
            }
        }
    }

    private static void Replay(IReadOnlyList<byte[]> seeds, Action<byte[]> run)
    {
        Random random = new(7);
        foreach (byte[] seed in seeds)
        {
            run(seed);
        }

        for (int round = 0; round < Rounds; round++)
        {
            List<byte> input = [.. seeds[random.Next(seeds.Count)]];
            for (int i = random.Next(1, 5); i > 0; i--)
            {
                Mutate(input, seeds[random.Next(seeds.Count)], random);
            }

            run([.. input]);
        }
    }

    private static void Mutate(List<byte> input, byte[] other, Random random)
    {
        int at = random.Next(input.Count + 1);
        switch (random.Next(6))
        {
            case 0 when at < input.Count:
                input[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < input.Count:
                input[at] = "\0\xff\x7f\x80{}[]\",:\\0129-eE. u"u8[random.Next(22)];
                break;
            case 2:
                input.RemoveRange(at, random.Next(input.Count - at + 1));
                break;
            case 3 when other.Length > 0:
                int from = random.Next(other.Length);
                input.InsertRange(at, other[from..random.Next(from, other.Length)]);
                break;
            case 4 when input.Count >= 8:
                long[] extremes = [0, -1, long.MaxValue, long.MinValue, 100_000_000, 100_000_001, input.Count - 8, input.Count - 7];
                byte[] length = BitConverter.GetBytes(extremes[random.Next(extremes.Length)]);
                for (int i = 0; i < 8; i++)
                {
                    input[i] = length[i];
                }

                break;
            default:
                input.InsertRange(at, "18446744073709551616"u8.ToArray()[..random.Next(21)]);
                break;
        }
    }
}
