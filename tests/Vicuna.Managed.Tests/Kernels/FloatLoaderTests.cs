using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>All 65,536 bit patterns of the 16-bit float formats.</summary>
public sealed class FloatLoaderTests
{
    private static readonly byte[] AllPatterns = [.. Enumerable.Range(0, 65536).SelectMany(bits => BitConverter.GetBytes((ushort)bits))];

    [Fact]
    public void LoadScalar_EveryHalf_EqualsItsDefinition()
    {
        for (int bits = 0; bits < 65536; bits++)
        {
            int exponent = (bits >> 10) & 31;
            int mantissa = bits & 1023;
            double size = exponent switch
            {
                0 => mantissa * Math.Pow(2, -24),
                31 => mantissa == 0 ? double.PositiveInfinity : double.NaN,
                _ => (1024 + mantissa) * Math.Pow(2, exponent - 25),
            };
            float expected = (float)(bits >= 0x8000 ? -size : size);
            KernelCases.AssertSameBits([expected], [F16.LoadScalar(in AllPatterns[bits * 2])], $"0x{bits:x4}");
        }
    }

    [Fact]
    public void LoadScalar_EveryBrainFloat_IsTheUpperHalfOfASingle()
    {
        for (int bits = 0; bits < 65536; bits++)
        {
            KernelCases.AssertSameBits([BitConverter.Int32BitsToSingle(bits << 16)], [BF16.LoadScalar(in AllPatterns[bits * 2])], $"0x{bits:x4}");
        }
    }

    [Fact]
    public void Load256_EveryPattern_EqualsTheScalar()
    {
        Assert.SkipUnless(IsaTiers.IsSupported(IsaTier.Avx2), "This process has no AVX2.");
        Check256<F16>();
        Check256<BF16>();
    }

    [Fact]
    public void Load512_EveryPattern_EqualsTheScalar()
    {
        Assert.SkipUnless(IsaTiers.IsSupported(IsaTier.Avx512), "This process has no AVX-512.");
        Check512<F16>();
        Check512<BF16>();
    }

    private static void Check256<TLoader>()
        where TLoader : struct, IFloatLoader
    {
        float[] values = new float[8];
        for (int first = 0; first < 65536; first += 8)
        {
            TLoader.Load256(in AllPatterns[first * 2]).CopyTo(values);
            Check<TLoader>(first, values);
        }
    }

    private static void Check512<TLoader>()
        where TLoader : struct, IFloatLoader
    {
        float[] values = new float[16];
        for (int first = 0; first < 65536; first += 16)
        {
            TLoader.Load512(in AllPatterns[first * 2]).CopyTo(values);
            Check<TLoader>(first, values);
        }
    }

    private static void Check<TLoader>(int first, ReadOnlySpan<float> values)
        where TLoader : struct, IFloatLoader
    {
        for (int i = 0; i < values.Length; i++)
        {
            KernelCases.AssertSameBits([TLoader.LoadScalar(in AllPatterns[(first + i) * 2])], [values[i]], $"0x{first + i:x4}");
        }
    }
}
