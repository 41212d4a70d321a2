using System.Diagnostics;
using Vicuna.Managed.Tests.Fuzz;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>Replays of the fuzz targets over a fixed set of mutations.</summary>
public sealed class TorchMutationTests
{
    private const int MutationsPerSeed = 4000;

    [Fact]
    public void TorchFile_MutatedInput_IsReadOrRefused() => Replay(TorchFileTarget.Seeds(), TorchFileTarget.Run);

    [Fact]
    public void Pickle_MutatedInput_IsReadOrRefused() => Replay(PickleTarget.Seeds(), PickleTarget.Run);

    [Fact]
    public void Pickle_EveryByteChangedToEveryValue_IsReadOrRefused()
    {
        byte[] input = [.. PickleWriter.Reference];
        for (int i = 0; i < input.Length; i++)
        {
            for (int value = 0; value < 256; value++)
            {
                input[i] = (byte)value;
                PickleTarget.Run(input);
            }

            input[i] = PickleWriter.Reference[i];
        }
    }

    private static void Replay(IReadOnlyList<byte[]> seeds, Action<byte[]> run)
    {
        Random random = new(20240501);
        foreach (byte[] seed in seeds)
        {
            Assert.InRange(seed.Length, 1, 4096);
            run(seed);
            for (int i = 0; i < MutationsPerSeed; i++)
            {
                byte[] input = Mutate(seed, seeds[random.Next(seeds.Count)], random);
                Stopwatch clock = Stopwatch.StartNew();
                Exception? exception = Record.Exception(() => run(input));
                Assert.True(exception is null && clock.Elapsed < TimeSpan.FromSeconds(5), $"{clock.Elapsed} {Convert.ToHexString(input)} {exception}");
            }
        }
    }

    private static byte[] Mutate(byte[] seed, byte[] other, Random random)
    {
        byte[] input = [.. seed];
        for (int changes = random.Next(1, 5); changes > 0 && input.Length > 0; changes--)
        {
            int at = random.Next(input.Length);
            switch (random.Next(6))
            {
                case 0: input[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: input[at] = (byte)random.Next(256); break;
                case 2: input = input[..at]; break;
                case 3: input = [.. input.AsSpan(0, at), .. other.AsSpan(random.Next(other.Length))]; break;
                case 4: input = [.. input.AsSpan(0, at), .. input.AsSpan(Math.Max(0, at - random.Next(32)))]; break;
                default: input.AsSpan(at, Math.Min(1 << random.Next(4), input.Length - at)).Fill((byte)(random.Next(2) * 255)); break;
            }
        }

        return input;
    }
}
