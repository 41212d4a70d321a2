using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Rotary position embedding (Su et al. 2021): each pair (a, b) of a head is turned by the angle position · frequency:
/// (a·cos - b·sin, b·cos + a·sin).
/// </summary>
internal static partial class Rope
{
    /// <summary>Fills the tables for a run of positions, in f64 with one rounding, shared by all heads and layers.</summary>
    /// <param name="frequencies">Radians per position, f64 <c>[d/2]</c>.</param>
    /// <param name="position">Position of the first token, from 0.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="cosines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="sines">f32 <c>[tokens, d/2]</c>.</param>
    public static void FillTables(ReadOnlySpan<double> frequencies, int position, int tokens, Span<float> cosines, Span<float> sines)
    {
        int half = frequencies.Length;
        for (int token = 0; token < tokens; token++)
        {
            for (int i = 0; i < half; i++)
            {
                (double sine, double cosine) = Math.SinCos((position + token) * frequencies[i]);
                cosines[(token * half) + i] = (float)cosine;
                sines[(token * half) + i] = (float)sine;
            }
        }
    }

    /// <summary>Turns all heads of all tokens, in place.</summary>
    /// <param name="x">Q or K, f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="cosines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="sines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="heads">Heads per token, dimensionless.</param>
    /// <param name="headDim">d, elements per head, even.</param>
    /// <param name="style">Which elements form pairs.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Rotate<TIsa>(
        Span<float> x, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, int tokens, int heads, int headDim, RopeStyle style)
        where TIsa : struct, IIsa
    {
        int half = headDim / 2;
        if (headDim % 2 != 0 || x.Length != (long)tokens * heads * headDim || cosines.Length != (long)tokens * half || sines.Length != cosines.Length)
        {
            throw new ArgumentException($"x [{x.Length}] is not [{tokens}, {heads}, {headDim}], or the tables [{cosines.Length}], [{sines.Length}] are not [{tokens}, {half}].");
        }

        for (int token = 0; token < tokens; token++)
        {
            ReadOnlySpan<float> cosine = cosines.Slice(token * half, half);
            ReadOnlySpan<float> sine = sines.Slice(token * half, half);
            for (int head = 0; head < heads; head++)
            {
                Span<float> row = x.Slice(((token * heads) + head) * headDim, headDim);
                if (style == RopeStyle.Halves)
                {
                    RotateHalves<TIsa>(row[..half], row[half..], cosine, sine);
                }
                else
                {
                    RotateAdjacent<TIsa>(row, cosine, sine);
                }
            }
        }
    }

    // Products and sums are rounded one by one at every width, so that all tiers give the same bits.
    private static void RotateHalves<TIsa>(Span<float> a, Span<float> b, ReadOnlySpan<float> cosine, ReadOnlySpan<float> sine)
        where TIsa : struct, IIsa
    {
        ref float ra = ref MemoryMarshal.GetReference(a);
        ref float rb = ref MemoryMarshal.GetReference(b);
        ref float rc = ref MemoryMarshal.GetReference(cosine);
        ref float rs = ref MemoryMarshal.GetReference(sine);
        // All four spans have the length of a: the caller sliced them to d/2. The loop stops at the last whole vector.
        nuint i = 0;
        nuint count = (nuint)a.Length;
        if (typeof(TIsa) != typeof(Scalar))
        {
            for (; i + 8 <= count; i += 8)
            {
                var va = Vector256.LoadUnsafe(ref ra, i);
                var vb = Vector256.LoadUnsafe(ref rb, i);
                var vc = Vector256.LoadUnsafe(ref rc, i);
                var vs = Vector256.LoadUnsafe(ref rs, i);
                Vector256.StoreUnsafe((va * vc) - (vb * vs), ref ra, i);
                Vector256.StoreUnsafe((vb * vc) + (va * vs), ref rb, i);
            }
        }

        for (int j = (int)i; j < a.Length; j++)
        {
            (a[j], b[j]) = ((a[j] * cosine[j]) - (b[j] * sine[j]), (b[j] * cosine[j]) + (a[j] * sine[j]));
        }
    }

    // As above: a·c + b·(-s) has the bits of a·c - b·s.
    private static void RotateAdjacent<TIsa>(Span<float> x, ReadOnlySpan<float> cosine, ReadOnlySpan<float> sine)
        where TIsa : struct, IIsa
    {
        int i = 0;
        if (typeof(TIsa) != typeof(Scalar))
        {
            ref float rx = ref MemoryMarshal.GetReference(x);
            ref float rc = ref MemoryMarshal.GetReference(cosine);
            ref float rs = ref MemoryMarshal.GetReference(sine);
            var twice = Vector256.Create(0, 0, 1, 1, 2, 2, 3, 3);
            var swap = Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6);
            var negateEven = Vector256.Create(-0f, 0f, -0f, 0f, -0f, 0f, -0f, 0f);
            // x has two elements per element of the tables, and i + 4 is at most their length.
            for (; i + 4 <= cosine.Length; i += 4)
            {
                var pairs = Vector256.LoadUnsafe(ref rx, (nuint)(2 * i));
                var vc = Vector256.Shuffle(Vector128.LoadUnsafe(ref rc, (nuint)i).ToVector256(), twice);
                var vs = Vector256.Shuffle(Vector128.LoadUnsafe(ref rs, (nuint)i).ToVector256(), twice) ^ negateEven;
                ((pairs * vc) + (Vector256.Shuffle(pairs, swap) * vs)).StoreUnsafe(ref rx, (nuint)(2 * i));
            }
        }

        for (; i < cosine.Length; i++)
        {
            float a = x[2 * i];
            float b = x[(2 * i) + 1];
            x[2 * i] = (a * cosine[i]) - (b * sine[i]);
            x[(2 * i) + 1] = (b * cosine[i]) + (a * sine[i]);
        }
    }
}
