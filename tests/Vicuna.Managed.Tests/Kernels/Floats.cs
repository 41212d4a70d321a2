namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Numbers for the tests of operations.</summary>
internal static class Floats
{
    public static float[] Random(int count, double size, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(((random.NextDouble() * 2) - 1) * size))];
    }

    /// <summary>Fails unless every element is within the tolerance of its reference; a NaN stands for a NaN.</summary>
    public static void AssertClose(ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double relative, double absolute, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < actual.Length; i++)
        {
            bool close = double.IsFinite(expected[i])
                ? Math.Abs(actual[i] - expected[i]) <= (relative * Math.Abs(expected[i])) + absolute
                : expected[i].Equals((double)actual[i]);
            if (!close)
            {
                Assert.Fail($"{what}: element {i} of {actual.Length}: expected {expected[i]:r}, found {actual[i]:r}.");
            }
        }
    }
}
