using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// e^x with the same operations at every width, so that a result depends neither on the tier nor on where an element stands in a span
/// (the runtime's own vector and scalar exponentials differ in the last bit).
/// Method: x = n·ln 2 + r with |r| ≤ ln 2 / 2 (Cody and Waite 1980: ln 2 in two parts), e^r by its Taylor polynomial of degree 7 in Horner's
/// form, times 2^n. The next term is below 5.3e-9. Inputs are limited to -88 and 89, where the exponent field of 2^n has run empty or full:
/// the result is 0 below -87.68 (2^-126.5) and +∞ above 88.37 (2^127.5), so that x / (1 + e^-x) has the right limits. NaN stays NaN.
/// </summary>
internal static class VectorMath
{
    private const float Lowest = -88f;                 // n = -127: 2^n becomes 0
    private const float Highest = 89f;                 // n = 128: 2^n becomes +∞
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693359375f;        // 10 significant bits: n · Ln2High is exact
    private const float Ln2Low = -2.12194440e-4f;      // ln 2 - Ln2High
    private const float RoundToInteger = 12582912f;    // 1.5 · 2^23: adding it leaves the nearest integer in the low mantissa bits
    private const int ExponentOne = 127 << 23;
    private const float C7 = 1f / 5040, C6 = 1f / 720, C5 = 1f / 120, C4 = 1f / 24, C3 = 1f / 6, C2 = 0.5f;

    /// <summary>e^x of one element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Exp(float x)
    {
        // Comparisons with NaN are false, so that it passes through both limits.
        x = x > Highest ? Highest : x;
        x = x < Lowest ? Lowest : x;
        float shifted = MathF.FusedMultiplyAdd(x, Log2E, RoundToInteger);
        float n = shifted - RoundToInteger;
        float r = MathF.FusedMultiplyAdd(n, -Ln2High, x);
        r = MathF.FusedMultiplyAdd(n, -Ln2Low, r);
        float p = MathF.FusedMultiplyAdd(C7, r, C6);
        p = MathF.FusedMultiplyAdd(p, r, C5);
        p = MathF.FusedMultiplyAdd(p, r, C4);
        p = MathF.FusedMultiplyAdd(p, r, C3);
        p = MathF.FusedMultiplyAdd(p, r, C2);
        p = MathF.FusedMultiplyAdd(p, r, 1f);
        p = MathF.FusedMultiplyAdd(p, r, 1f);
        float power = BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(shifted) << 23) + ExponentOne);
        return p * power;
    }

    /// <summary>e^x of eight elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        Vector256<float> highest = Vector256.Create(Highest);
        Vector256<float> lowest = Vector256.Create(Lowest);
        x = Vector256.ConditionalSelect(Vector256.GreaterThan(x, highest), highest, x);
        x = Vector256.ConditionalSelect(Vector256.LessThan(x, lowest), lowest, x);
        Vector256<float> shifted = Vector256.FusedMultiplyAdd(x, Vector256.Create(Log2E), Vector256.Create(RoundToInteger));
        Vector256<float> n = shifted - Vector256.Create(RoundToInteger);
        Vector256<float> r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2High), x);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2Low), r);
        Vector256<float> p = Vector256.FusedMultiplyAdd(Vector256.Create(C7), r, Vector256.Create(C6));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C5));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C4));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C3));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C2));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256<float>.One);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256<float>.One);
        Vector256<float> power = ((shifted.AsInt32() << 23) + Vector256.Create(ExponentOne)).AsSingle();
        return p * power;
    }

    /// <summary>e^x of sixteen elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        Vector512<float> highest = Vector512.Create(Highest);
        Vector512<float> lowest = Vector512.Create(Lowest);
        x = Vector512.ConditionalSelect(Vector512.GreaterThan(x, highest), highest, x);
        x = Vector512.ConditionalSelect(Vector512.LessThan(x, lowest), lowest, x);
        Vector512<float> shifted = Vector512.FusedMultiplyAdd(x, Vector512.Create(Log2E), Vector512.Create(RoundToInteger));
        Vector512<float> n = shifted - Vector512.Create(RoundToInteger);
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2High), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2Low), r);
        Vector512<float> p = Vector512.FusedMultiplyAdd(Vector512.Create(C7), r, Vector512.Create(C6));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C5));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C4));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C3));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C2));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        Vector512<float> power = ((shifted.AsInt32() << 23) + Vector512.Create(ExponentOne)).AsSingle();
        return p * power;
    }
}
