using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The elementwise operations and the normalization against f64, at every length up to 257, between guard pages.</summary>
public sealed class OpsReferenceTests
{
    public static TheoryData<string> Tiers() => [.. KernelCases.Tiers];

    [Theory]
    [MemberData(nameof(Tiers))]
    public void RmsNorm_EveryLength_AgreesWithTheReference(string tierName)
    {
        Operations operations = Find(tierName);
        using GuardedFloats memory = new(3, 3 * 8192);
        foreach (int width in Enumerable.Range(1, 257).Concat([1024, 4096, 5120, 8192]))
        {
            foreach (double size in new[] { 1.0, 1e-4, 1e4, 1e15 })
            {
                float[] x = Floats.Random(3 * width, size, width);
                x.AsSpan(width, width).Fill((float)(size / 3));
                x[(2 * width) + (width / 2)] *= 1000; // an outlier, as real activations have
                CheckRmsNorm(operations, memory, x, Floats.Random(width, 2, width + 1));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void RmsNorm_LargestAndSmallestNumbers_AgreesWithTheReference(string tierName)
    {
        Operations operations = Find(tierName);
        using GuardedFloats memory = new(3, 64);
        foreach (float size in new[] { float.MaxValue, 1e30f, 1e-20f, 1e-38f, 0f })
        {
            foreach (int width in new[] { 1, 15, 16, 17, 64 })
            {
                float[] gain = Floats.Random(width, 1, 2);
                CheckRmsNorm(operations, memory, [.. Enumerable.Range(0, width).Select(i => i % 2 == 0 ? size : -size)], gain);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void RmsNorm_RowAloneOrInPlaceOrScalar_GivesTheSameBits(string tierName)
    {
        Operations operations = Find(tierName);
        for (int width = 1; width <= 257; width++)
        {
            float[] x = Floats.Random(5 * width, 3, width);
            float[] gain = Floats.Random(width, 1, width + 1);
            float[] whole = new float[x.Length];
            operations.RmsNorm(x, gain, 1e-6f, whole);
            float[] scalar = new float[x.Length];
            Operations.For(IsaTier.Scalar).RmsNorm(x, gain, 1e-6f, scalar);
            KernelCases.AssertSameBits(scalar, whole, $"{width}, against scalar");
            float[] alone = [.. x];
            for (int row = 0; row < 5; row++)
            {
                operations.RmsNorm(alone.AsSpan(row * width, width), gain, 1e-6f, alone.AsSpan(row * width, width));
            }

            KernelCases.AssertSameBits(whole, alone, $"{width}");
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void RmsNorm_NonFinite_PropagatesWithinItsRow(string tierName)
    {
        Operations operations = Find(tierName);
        foreach (int width in new[] { 1, 7, 16, 33 })
        {
            for (int at = 0; at < 2 * width; at++)
            {
                foreach (float special in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
                {
                    float[] x = Floats.Random(2 * width, 1, 1);
                    x[at] = special;
                    operations.RmsNorm(x, Floats.Random(width, 1, 2), 1e-5f, x);
                    Assert.True(float.IsNaN(x[at]), $"{special} at {at} of {width}");
                    Assert.All(x.Skip((1 - (at / width)) * width).Take(width), value => Assert.True(float.IsFinite(value)));
                    Assert.True(!float.IsNaN(special) || x.Skip(at / width * width).Take(width).All(float.IsNaN));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void SwiGlu_EveryLength_AgreesWithTheReferenceAndTheScalarBits(string tierName)
    {
        Operations operations = Find(tierName);
        Operations scalar = Operations.For(IsaTier.Scalar);
        using GuardedFloats memory = new(2, 257);
        for (int length = 1; length <= 257; length++)
        {
            foreach (double size in new[] { 1.0, 30, 87 })
            {
                float[] gate = Floats.Random(length, size, length);
                float[] up = Floats.Random(length, 3, length + 1);
                double[] expected = [.. gate.Zip(up, (g, u) => SwiGlu.Reference(g, u))];
                float[] bits = [.. gate];
                scalar.SwiGlu(bits, up);
                foreach (bool atEnd in new[] { true, false })
                {
                    memory.AtEnd = atEnd;
                    Span<float> actual = memory.Copy(0, gate);
                    operations.SwiGlu(actual, memory.Copy(1, up));
                    Floats.AssertClose(expected, actual, 5e-7, 1e-40, $"{length} of size {size}");
                    KernelCases.AssertSameBits(bits, actual, $"{length} of size {size}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void SwiGlu_LimitsAndNonFinite_AgreesWithTheReference(string tierName)
    {
        Operations operations = Find(tierName);
        float[] values =
        [
            0f, -0f, 88f, -88f, 89f, -89f, 200f, -200f, 1e10f, -1e10f, 1e30f, -1e30f, float.MaxValue, float.MinValue, float.Epsilon,
            float.PositiveInfinity, float.NegativeInfinity, float.NaN,
        ];
        foreach (int length in new[] { 1, 8, 16, 17 })
        {
            foreach (float value in values)
            {
                float[] gate = [.. Enumerable.Repeat(value, length)];
                float[] up = [.. Enumerable.Repeat(0.5f, length)];
                double[] expected = [.. gate.Select(g => SwiGlu.Reference(g, 0.5))];
                operations.SwiGlu(gate, up);
                Floats.AssertClose(expected, gate, 5e-7, 1e-35, $"{value}");
                Array.Fill(up, float.NaN);
                operations.SwiGlu(gate, up);
                Assert.All(gate, x => Assert.True(float.IsNaN(x)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Add_EveryLength_IsTheRoundedSum(string tierName)
    {
        Operations operations = Find(tierName);
        using GuardedFloats memory = new(2, 3 * 257);
        for (int length = 1; length <= 257; length++)
        {
            float[] x = Floats.Random(3 * length, 1e6, length);
            float[] y = Floats.Random(3 * length, 1, length + 1);
            x[0] = float.NaN;
            y[^1] = float.PositiveInfinity;
            foreach (bool atEnd in new[] { true, false })
            {
                memory.AtEnd = atEnd;
                Span<float> sum = memory.Copy(0, x);
                operations.Add(sum, memory.Copy(1, y));
                KernelCases.AssertSameBits(x.Zip(y, (a, b) => a + b).ToArray(), sum, $"{length}");
                Span<float> biased = memory.Copy(0, x);
                operations.AddBias(biased, memory.Copy(1, y.AsSpan(0, length)));
                KernelCases.AssertSameBits(x.Select((a, i) => a + y[i % length]).ToArray(), biased, $"bias {length}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tiers))]
    public void Operations_WrongLengths_Throw(string tierName)
    {
        Operations operations = Find(tierName);
        Assert.Equal(KernelCases.Tier(tierName), operations.Tier);
        Assert.Throws<ArgumentException>(() => operations.RmsNorm(new float[6], new float[4], 0, new float[6]));
        Assert.Throws<ArgumentException>(() => operations.RmsNorm(new float[8], new float[4], 0, new float[4]));
        Assert.Throws<ArgumentException>(() => operations.RmsNorm(new float[4], new float[4], 0, new float[8]));
        Assert.Throws<ArgumentException>(() => operations.RmsNorm([], [], 0, []));
        Assert.Throws<ArgumentException>(() => operations.SwiGlu(new float[4], new float[3]));
        Assert.Throws<ArgumentException>(() => operations.SwiGlu(new float[3], new float[4]));
        Assert.Throws<ArgumentException>(() => operations.Add(new float[4], new float[5]));
        Assert.Throws<ArgumentException>(() => operations.AddBias(new float[5], new float[4]));
        Assert.Throws<ArgumentException>(() => operations.AddBias(new float[4], []));
        operations.SwiGlu([], []);
        operations.Add([], []);
    }

    private static void CheckRmsNorm(Operations operations, GuardedFloats memory, float[] x, float[] gain)
    {
        const float epsilon = 1e-6f;
        int width = gain.Length;
        double[] expected = new double[x.Length];
        for (int row = 0; row < x.Length; row += width)
        {
            float[] reference = new float[width];
            RmsNorm.Reference(x.AsSpan(row, width), gain, epsilon, reference);
            Array.ConvertAll(reference, value => (double)value).CopyTo(expected, row);
        }

        foreach (bool atEnd in new[] { true, false })
        {
            memory.AtEnd = atEnd;
            Span<float> actual = memory.Blank(2, x.Length);
            operations.RmsNorm(memory.Copy(0, x), memory.Copy(1, gain), epsilon, actual);
            Floats.AssertClose(expected, actual, 1e-6, 1e-43, $"width {width}, x[0] = {x[0]}");
        }
    }

    private static Operations Find(string tier) => Operations.For(KernelCases.Tier(tier));
}
