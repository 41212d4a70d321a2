using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class RopeTests
{
    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Rotate_EveryHeadSize_AgreesWithF64AndTheScalarBits(string tierName)
    {
        const int tokens = 3, heads = 2;
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        Operations scalar = Operations.For(IsaTier.Scalar);
        using GuardedFloats memory = new(3, tokens * heads * 514);
        for (int headDim = 2; headDim <= 514; headDim += 2)
        {
            int half = headDim / 2;
            float[] cosines = new float[tokens * half];
            float[] sines = new float[tokens * half];
            Rope.FillTables(Frequencies(headDim), 2046, tokens, cosines, sines);
            float[] x = Floats.Random(tokens * heads * headDim, 3, headDim);
            foreach (RopeStyle style in Enum.GetValues<RopeStyle>())
            {
                double[] expected = Reference(x, headDim, tokens, heads, 2046, style);
                float[] bits = [.. x];
                scalar.Rotate(bits, cosines, sines, tokens, heads, headDim, style);
                foreach (bool atEnd in new[] { true, false })
                {
                    memory.AtEnd = atEnd;
                    Span<float> actual = memory.Copy(0, x);
                    operations.Rotate(actual, memory.Copy(1, cosines), memory.Copy(2, sines), tokens, heads, headDim, style);
                    Floats.AssertClose(expected, actual, 0, 1e-6, $"{style}, head size {headDim}");
                    KernelCases.AssertSameBits(bits, actual, $"{style}, head size {headDim}");
                }
            }
        }
    }

    [Fact]
    public void FillTables_FarPositions_AgreeWithF64()
    {
        double[] frequencies = Frequencies(128);
        float[] cosines = new float[2 * 64];
        float[] sines = new float[2 * 64];
        foreach (int position in new[] { 0, 1, 2047, 131_071, 1_000_000 })
        {
            Rope.FillTables(frequencies, position, 2, cosines, sines);
            for (int i = 0; i < 128; i++)
            {
                Assert.Equal((float)Math.Cos((position + (i / 64)) * frequencies[i % 64]), cosines[i], 1e-7);
                Assert.Equal((float)Math.Sin((position + (i / 64)) * frequencies[i % 64]), sines[i], 1e-7);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Rotate_AnyPosition_PreservesNorms(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        foreach (RopeStyle style in Enum.GetValues<RopeStyle>())
        {
            foreach (int position in new[] { 0, 1, 17, 2047, 100_000 })
            {
                float[] x = Floats.Random(128, 1, position);
                float[] turned = Turn(operations, x, position, style);
                Assert.Equal(Dot(x, x), Dot(turned, turned), 1e-5);
                Assert.True(position == 0 == turned.AsSpan().SequenceEqual(x), $"{position}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Rotate_QueryAndKey_ProductDependsOnTheDistanceOnly(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        float[] q = Floats.Random(128, 1, 1);
        float[] k = Floats.Random(128, 1, 2);
        foreach (RopeStyle style in Enum.GetValues<RopeStyle>())
        {
            foreach (int distance in new[] { 0, 1, 5, 100 })
            {
                double first = Dot(Turn(operations, q, distance, style), Turn(operations, k, 0, style));
                foreach (int position in new[] { 1, 3, 64, 2000 })
                {
                    Assert.Equal(first, Dot(Turn(operations, q, position + distance, style), Turn(operations, k, position, style)), 1e-5);
                }
            }

            double near = Dot(Turn(operations, q, 1, style), Turn(operations, k, 0, style));
            Assert.NotEqual(near, Dot(Turn(operations, q, 0, style), Turn(operations, k, 1, style)), 1e-3);
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Rotate_NaN_ReachesItsPairOnly(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        for (int at = 0; at < 44; at++)
        {
            float[] x = Floats.Random(44, 1, 1);
            x[at] = float.NaN;
            Assert.Equal([at % 22, (at % 22) + 22], NaNs(Turn(operations, x, 5, RopeStyle.Halves)));
            Assert.Equal([at / 2 * 2, (at / 2 * 2) + 1], NaNs(Turn(operations, x, 5, RopeStyle.Adjacent)));
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Rotate_WrongLengths_Throws(string tierName)
    {
        Operations operations = Operations.For(KernelCases.Tier(tierName));
        void Rotate(int x, int cosines, int sines, int tokens, int heads, int headDim) =>
            operations.Rotate(new float[x], new float[cosines], new float[sines], tokens, heads, headDim, RopeStyle.Halves);

        Rotate(24, 4, 4, 2, 3, 4);
        Assert.Throws<ArgumentException>(() => Rotate(23, 4, 4, 2, 3, 4));
        Assert.Throws<ArgumentException>(() => Rotate(25, 4, 4, 2, 3, 4));
        Assert.Throws<ArgumentException>(() => Rotate(24, 3, 4, 2, 3, 4));
        Assert.Throws<ArgumentException>(() => Rotate(24, 4, 3, 2, 3, 4));
        Assert.Throws<ArgumentException>(() => Rotate(24, 8, 8, 2, 3, 4));
        Assert.Throws<ArgumentException>(() => Rotate(30, 4, 4, 2, 3, 5));
    }

    private static double[] Frequencies(int headDim) => [.. Enumerable.Range(0, headDim / 2).Select(i => Math.Pow(10000, -2.0 * i / headDim))];

    private static float[] Turn(Operations operations, float[] x, int position, RopeStyle style)
    {
        float[] turned = [.. x];
        float[] cosines = new float[x.Length / 2];
        float[] sines = new float[x.Length / 2];
        Rope.FillTables(Frequencies(x.Length), position, 1, cosines, sines);
        operations.Rotate(turned, cosines, sines, 1, 1, x.Length, style);
        return turned;
    }

    // As complex numbers: every pair times e^(i · angle).
    private static double[] Reference(float[] x, int headDim, int tokens, int heads, int position, RopeStyle style)
    {
        double[] y = new double[x.Length];
        double[] frequencies = Frequencies(headDim);
        for (int row = 0; row < tokens * heads; row++)
        {
            for (int i = 0; i < headDim / 2; i++)
            {
                int a = (row * headDim) + (style == RopeStyle.Halves ? i : 2 * i);
                int b = style == RopeStyle.Halves ? a + (headDim / 2) : a + 1;
                System.Numerics.Complex turned = new System.Numerics.Complex(x[a], x[b])
                    * System.Numerics.Complex.FromPolarCoordinates(1, (position + (row / heads)) * frequencies[i]);
                (y[a], y[b]) = (turned.Real, turned.Imaginary);
            }
        }

        return y;
    }

    private static double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();

    private static int[] NaNs(float[] x) => [.. Enumerable.Range(0, x.Length).Where(i => float.IsNaN(x[i]))];
}
