using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// What chance decides in a training. Every choice is a fixed function of the seed and of where it is made, so a resumed run chooses as an
/// unbroken one.
/// </summary>
internal static class DataOrder
{
    private const ulong Gamma = 0x9E3779B97F4A7C15;
    private const ulong SplitStream = 1;
    private const ulong EpochStream = 2;
    private const ulong DropoutStream = 3;

    /// <summary>Divides samples in those to learn from and those that are held out, each in the order of the data.</summary>
    /// <param name="count">Samples in all.</param>
    /// <param name="validation">How many are held out, at most <paramref name="count"/>.</param>
    /// <param name="seed">Key of the choice.</param>
    public static (int[] Training, int[] Validation) Split(int count, int validation, long seed)
    {
        int[] order = Permutation(count, Key(seed, SplitStream, 0, 0));
        int[] heldOut = order[..validation];
        int[] rest = order[validation..];
        Array.Sort(heldOut);
        Array.Sort(rest);
        return (rest, heldOut);
    }

    /// <summary>The order of an epoch: every number below <paramref name="count"/> once.</summary>
    public static int[] OfEpoch(int count, long seed, int epoch) => Permutation(count, Key(seed, EpochStream, epoch, 0));

    /// <summary>What chooses the dropout of a micro-batch.</summary>
    public static ulong DropoutSeed(long seed, int step, int microBatch) => Key(seed, DropoutStream, step, microBatch);

    private static ulong Key(long seed, ulong stream, int first, int second)
    {
        unchecked
        {
            ulong key = CounterRandom.Mix((ulong)seed + Gamma);
            key = CounterRandom.Mix(key + (stream * Gamma));
            key = CounterRandom.Mix(key + (((uint)first + 1UL) * Gamma));
            return CounterRandom.Mix(key + (((uint)second + 1UL) * Gamma));
        }
    }

    // Fisher and Yates. The high half of a product is uneven by count in 2^64, which nothing here can tell.
    private static int[] Permutation(int count, ulong key)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        for (int i = count - 1; i > 0; i--)
        {
            ulong random = CounterRandom.Mix(unchecked(key + ((uint)i * Gamma)));
            int other = (int)Math.BigMul(random, (ulong)i + 1, out _);
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }
}
