using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class VectorMathTests
{
    private static readonly float[] Special =
    [
        0f, -0f, float.Epsilon, -float.Epsilon, 1f, -1f, 87f, -87f, 87.4f, -87.4f, 87.7f, -87.7f, 88f, -88f, 88.1f, -88.1f, 88.37f, 88.38f, 88.7f, 89f, -89f,
        100f, -100f, 1000f, -1000f, 1e30f, -1e30f, float.MaxValue, float.MinValue, float.PositiveInfinity, float.NegativeInfinity, float.NaN, -float.NaN,
    ];

    [Fact]
    public void Exp_DenseSweep_StaysWithinItsError()
    {
        double worst = 0;
        const int count = 3_000_000;
        for (int i = 0; i <= count; i++)
        {
            float x = (float)(-87 + (175.0 * i / count));
            double expected = Math.Exp(x);
            worst = Math.Max(worst, Math.Abs(VectorMath.Exp(x) - expected) / expected);
        }

        Assert.InRange(worst, 1e-9, 1.5e-7);
    }

    [Fact]
    public void Exp_NearZero_IsExactWhereItMatters()
    {
        Assert.Equal(1f, VectorMath.Exp(0f));
        Assert.Equal(1f, VectorMath.Exp(-0f));
        Assert.Equal(1f, VectorMath.Exp(float.Epsilon));
        for (double x = 1e-30; x < 0.5; x *= 1.01)
        {
            Assert.Equal(Math.Exp(x), VectorMath.Exp((float)x), 2e-7);
            Assert.Equal(Math.Exp(-x), VectorMath.Exp((float)-x), 1e-7);
        }
    }

    [Theory]
    [InlineData(-88f)]
    [InlineData(-1000f)]
    [InlineData(float.MinValue)]
    [InlineData(float.NegativeInfinity)]
    public void Exp_BelowTheRange_IsZero(float x) => Assert.Equal(0f, VectorMath.Exp(x));

    [Theory]
    [InlineData(88.4f)]
    [InlineData(1000f)]
    [InlineData(float.MaxValue)]
    [InlineData(float.PositiveInfinity)]
    public void Exp_AboveTheRange_IsInfinite(float x) => Assert.Equal(float.PositiveInfinity, VectorMath.Exp(x));

    [Fact]
    public void Exp_NaN_IsNaN() => Assert.True(float.IsNaN(VectorMath.Exp(float.NaN)));

    [Fact]
    public void Exp_EveryWidth_GivesTheSameBits()
    {
        float[] x = [.. Special, .. Floats.Random(200_000, 100, 1), .. Floats.Random(50_000, 1, 2), .. Floats.Random(15, 1e-3, 3)];
        x = x[..(x.Length / 16 * 16)];
        float[] scalar = [.. x.Select(VectorMath.Exp)];
        float[] wide = new float[x.Length];
        for (int i = 0; i < x.Length; i += 8)
        {
            VectorMath.Exp(Vector256.Create(x, i)).CopyTo(wide, i);
        }

        KernelCases.AssertSameBits(scalar, wide, "256 bits");
        for (int i = 0; i < x.Length; i += 16)
        {
            VectorMath.Exp(Vector512.Create(x, i)).CopyTo(wide, i);
        }

        KernelCases.AssertSameBits(scalar, wide, "512 bits");
    }
}
