using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Tests.Compression.Training;

/// <summary>Sequences in which the next token is mostly the one after: something to learn.</summary>
internal static class ToyData
{
    public static TrainingSample[] Samples(int count = 60, int vocabulary = 16, int seed = 5)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Sample(random, vocabulary))];
    }

    /// <summary>Sequences in which there is nothing to learn.</summary>
    public static TrainingSample[] Noise()
    {
        Random random = new(6);
        return [.. Enumerable.Range(0, 60).Select(_ => new TrainingSample([.. Enumerable.Range(0, 6).Select(_ => random.Next(16))], promptTokens: 1))];
    }

    private static TrainingSample Sample(Random random, int vocabulary)
    {
        int[] ids = new int[random.Next(3, 12)];
        ids[0] = random.Next(vocabulary);
        for (int i = 1; i < ids.Length; i++)
        {
            ids[i] = random.Next(4) > 0 ? (ids[i - 1] + 1) % vocabulary : random.Next(vocabulary);
        }

        return new TrainingSample(ids, promptTokens: random.Next(1, ids.Length));
    }
}
