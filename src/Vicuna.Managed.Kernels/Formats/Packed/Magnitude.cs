using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>The largest magnitude of a run of numbers.</summary>
internal static class Magnitude
{
    /// <summary>max |x[i]|, 0 for an empty run; NaN if one is NaN.</summary>
    /// <param name="x">f32 <c>[n]</c>.</param>
    public static float Max(ReadOnlySpan<float> x)
    {
        // Magnitudes order like their bits, and NaNs lie above infinity: integers keep a NaN where a float maximum may lose it.
        Vector256<int> largest = Vector256<int>.Zero;
        int i = 0;
        for (; i + 8 <= x.Length; i += 8)
        {
            largest = Vector256.Max(largest, Vector256.Create(x.Slice(i, 8)).AsInt32() & Vector256.Create(int.MaxValue));
        }

        Vector128<int> four = Vector128.Max(largest.GetLower(), largest.GetUpper());
        Vector128<int> two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        int bits = Math.Max(two[0], two[1]);

        for (; i < x.Length; i++)
        {
            bits = Math.Max(bits, BitConverter.SingleToInt32Bits(x[i]) & int.MaxValue);
        }

        return BitConverter.Int32BitsToSingle(bits);
    }
}
