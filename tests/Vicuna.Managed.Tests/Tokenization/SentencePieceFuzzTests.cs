using Vicuna.Managed.Tests.Fuzz;

namespace Vicuna.Managed.Tests.Tokenization;

public sealed class SentencePieceFuzzTests
{
    private static readonly byte[][] Extremes =
    [
        [0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [0x80, 0x80, 0x80, 0x80, 0x08], [0x00], [0x7f],
        [0xff, 0x7f],
    ];

    [Fact]
    public void Run_OfEverySeedAndItsPrefixes_NeverFailsOtherwise()
    {
        foreach (byte[] seed in SentencePieceTarget.Seeds())
        {
            Assert.True(seed.Length < 4096, $"a seed of {seed.Length} bytes");
            for (int length = 0; length <= Math.Min(seed.Length, 400); length++)
            {
                SentencePieceTarget.Run(seed[..length]);
            }

            SentencePieceTarget.Run(seed);
        }
    }

    [Fact]
    public void Run_OfMutatedSeeds_NeverFailsOtherwise()
    {
        IReadOnlyList<byte[]> seeds = SentencePieceTarget.Seeds();
        Random random = new(1);
        for (int round = 0; round < 20_000; round++)
        {
            List<byte> input = [.. seeds[random.Next(seeds.Count)]];
            for (int change = random.Next(1, 5); change > 0 && input.Count > 0; change--)
            {
                int at = random.Next(input.Count);
                switch (random.Next(6))
                {
                    case 0:
                        input[at] ^= (byte)(1 << random.Next(8));
                        break;
                    case 1:
                        input[at] = (byte)random.Next(256);
                        break;
                    case 2:
                        input.RemoveRange(at, random.Next(input.Count - at));
                        break;
                    case 3:
                        byte[] other = seeds[random.Next(seeds.Count)];
                        int from = random.Next(other.Length + 1);
                        input.InsertRange(at, other[from..random.Next(from, Math.Min(from + 50, other.Length) + 1)]);
                        break;
                    case 4:
                        input.RemoveAt(at);
                        input.InsertRange(at, Extremes[random.Next(Extremes.Length)]);
                        break;
                    default:
                        input.InsertRange(at, input.GetRange(at, Math.Min(20, input.Count - at)));
                        break;
                }
            }

            SentencePieceTarget.Run([.. input]);
        }
    }
}
