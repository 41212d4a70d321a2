using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <content>256-bit vectors: two of them by four rows, up to eight by one. Accumulators are named locals: the JIT keeps those in registers.</content>
internal static partial class AttentionKernels
{
    private static void ScoresOfTile256<TElement>(ref float q, ref byte k, nuint d, nuint p, ref float s)
        where TElement : struct, IKvElement
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = Vector256<float>.Zero;
        Vector256<float> s10 = Vector256<float>.Zero, s11 = Vector256<float>.Zero;
        Vector256<float> s20 = Vector256<float>.Zero, s21 = Vector256<float>.Zero;
        Vector256<float> s30 = Vector256<float>.Zero, s31 = Vector256<float>.Zero;
        // keys holds d · Positions elements, queries d per row: both indices stay below.
        for (nuint i = 0; i < d; i++)
        {
            nuint at = (i * Positions) + p;
            Vector256<float> k0 = TElement.Load256(ref k, at);
            Vector256<float> k1 = TElement.Load256(ref k, at + 8);
            Vector256<float> one = Vector256.Create(Unsafe.Add(ref q, 4 * i));
            s00 = Vector256.FusedMultiplyAdd(one, k0, s00);
            s01 = Vector256.FusedMultiplyAdd(one, k1, s01);
            one = Vector256.Create(Unsafe.Add(ref q, (4 * i) + 1));
            s10 = Vector256.FusedMultiplyAdd(one, k0, s10);
            s11 = Vector256.FusedMultiplyAdd(one, k1, s11);
            one = Vector256.Create(Unsafe.Add(ref q, (4 * i) + 2));
            s20 = Vector256.FusedMultiplyAdd(one, k0, s20);
            s21 = Vector256.FusedMultiplyAdd(one, k1, s21);
            one = Vector256.Create(Unsafe.Add(ref q, (4 * i) + 3));
            s30 = Vector256.FusedMultiplyAdd(one, k0, s30);
            s31 = Vector256.FusedMultiplyAdd(one, k1, s31);
        }

        s00.StoreUnsafe(ref s, p);
        s01.StoreUnsafe(ref s, p + 8);
        s10.StoreUnsafe(ref s, p + Positions);
        s11.StoreUnsafe(ref s, p + Positions + 8);
        s20.StoreUnsafe(ref s, p + (2 * Positions));
        s21.StoreUnsafe(ref s, p + (2 * Positions) + 8);
        s30.StoreUnsafe(ref s, p + (3 * Positions));
        s31.StoreUnsafe(ref s, p + (3 * Positions) + 8);
    }

    private static void ScoresOfRow256<TElement>(ref float q, ref byte k, nuint d, ref float s)
        where TElement : struct, IKvElement
    {
        Vector256<float> s00 = Vector256<float>.Zero, s01 = Vector256<float>.Zero, s02 = Vector256<float>.Zero, s03 = Vector256<float>.Zero;
        Vector256<float> s04 = Vector256<float>.Zero, s05 = Vector256<float>.Zero, s06 = Vector256<float>.Zero, s07 = Vector256<float>.Zero;
        // keys holds d · Positions elements, queries d per row: both indices stay below.
        for (nuint i = 0; i < d; i++)
        {
            nuint at = i * Positions;
            Vector256<float> k0 = TElement.Load256(ref k, at);
            Vector256<float> k1 = TElement.Load256(ref k, at + 8);
            Vector256<float> k2 = TElement.Load256(ref k, at + 16);
            Vector256<float> k3 = TElement.Load256(ref k, at + 24);
            Vector256<float> k4 = TElement.Load256(ref k, at + 32);
            Vector256<float> k5 = TElement.Load256(ref k, at + 40);
            Vector256<float> k6 = TElement.Load256(ref k, at + 48);
            Vector256<float> k7 = TElement.Load256(ref k, at + 56);
            Vector256<float> one = Vector256.Create(Unsafe.Add(ref q, i));
            s00 = Vector256.FusedMultiplyAdd(one, k0, s00);
            s01 = Vector256.FusedMultiplyAdd(one, k1, s01);
            s02 = Vector256.FusedMultiplyAdd(one, k2, s02);
            s03 = Vector256.FusedMultiplyAdd(one, k3, s03);
            s04 = Vector256.FusedMultiplyAdd(one, k4, s04);
            s05 = Vector256.FusedMultiplyAdd(one, k5, s05);
            s06 = Vector256.FusedMultiplyAdd(one, k6, s06);
            s07 = Vector256.FusedMultiplyAdd(one, k7, s07);
        }

        s00.StoreUnsafe(ref s);
        s01.StoreUnsafe(ref s, 8);
        s02.StoreUnsafe(ref s, 16);
        s03.StoreUnsafe(ref s, 24);
        s04.StoreUnsafe(ref s, 32);
        s05.StoreUnsafe(ref s, 40);
        s06.StoreUnsafe(ref s, 48);
        s07.StoreUnsafe(ref s, 56);
    }

    private static nuint AddTile256<TElement>(ref float w, ref byte v, nuint from, nuint to, nuint d, nuint i, ref float y)
        where TElement : struct, IKvElement
    {
        // Columns i to i + width - 1 lie below d, positions below to: all indices stay inside what the caller has checked.
        for (; i + 16 <= d; i += 16)
        {
            Vector256<float> y00 = Vector256.LoadUnsafe(ref y, i);
            Vector256<float> y01 = Vector256.LoadUnsafe(ref y, i + 8);
            Vector256<float> y10 = Vector256.LoadUnsafe(ref y, d + i);
            Vector256<float> y11 = Vector256.LoadUnsafe(ref y, d + i + 8);
            Vector256<float> y20 = Vector256.LoadUnsafe(ref y, (2 * d) + i);
            Vector256<float> y21 = Vector256.LoadUnsafe(ref y, (2 * d) + i + 8);
            Vector256<float> y30 = Vector256.LoadUnsafe(ref y, (3 * d) + i);
            Vector256<float> y31 = Vector256.LoadUnsafe(ref y, (3 * d) + i + 8);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector256<float> v0 = TElement.Load256(ref v, at);
                Vector256<float> v1 = TElement.Load256(ref v, at + 8);
                Vector256<float> one = Vector256.Create(Unsafe.Add(ref w, p));
                y00 = Vector256.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector256.FusedMultiplyAdd(one, v1, y01);
                one = Vector256.Create(Unsafe.Add(ref w, p + Positions));
                y10 = Vector256.FusedMultiplyAdd(one, v0, y10);
                y11 = Vector256.FusedMultiplyAdd(one, v1, y11);
                one = Vector256.Create(Unsafe.Add(ref w, p + (2 * Positions)));
                y20 = Vector256.FusedMultiplyAdd(one, v0, y20);
                y21 = Vector256.FusedMultiplyAdd(one, v1, y21);
                one = Vector256.Create(Unsafe.Add(ref w, p + (3 * Positions)));
                y30 = Vector256.FusedMultiplyAdd(one, v0, y30);
                y31 = Vector256.FusedMultiplyAdd(one, v1, y31);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 8);
            y10.StoreUnsafe(ref y, d + i);
            y11.StoreUnsafe(ref y, d + i + 8);
            y20.StoreUnsafe(ref y, (2 * d) + i);
            y21.StoreUnsafe(ref y, (2 * d) + i + 8);
            y30.StoreUnsafe(ref y, (3 * d) + i);
            y31.StoreUnsafe(ref y, (3 * d) + i + 8);
        }

        for (; i + 8 <= d; i += 8)
        {
            Vector256<float> y00 = Vector256.LoadUnsafe(ref y, i);
            Vector256<float> y10 = Vector256.LoadUnsafe(ref y, d + i);
            Vector256<float> y20 = Vector256.LoadUnsafe(ref y, (2 * d) + i);
            Vector256<float> y30 = Vector256.LoadUnsafe(ref y, (3 * d) + i);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector256<float> v0 = TElement.Load256(ref v, at);
                Vector256<float> one = Vector256.Create(Unsafe.Add(ref w, p));
                y00 = Vector256.FusedMultiplyAdd(one, v0, y00);
                one = Vector256.Create(Unsafe.Add(ref w, p + Positions));
                y10 = Vector256.FusedMultiplyAdd(one, v0, y10);
                one = Vector256.Create(Unsafe.Add(ref w, p + (2 * Positions)));
                y20 = Vector256.FusedMultiplyAdd(one, v0, y20);
                one = Vector256.Create(Unsafe.Add(ref w, p + (3 * Positions)));
                y30 = Vector256.FusedMultiplyAdd(one, v0, y30);
            }

            y00.StoreUnsafe(ref y, i);
            y10.StoreUnsafe(ref y, d + i);
            y20.StoreUnsafe(ref y, (2 * d) + i);
            y30.StoreUnsafe(ref y, (3 * d) + i);
        }

        return i;
    }

    private static nuint AddRow256<TElement>(ref float w, ref byte v, nuint from, nuint to, nuint d, nuint i, ref float y)
        where TElement : struct, IKvElement
    {
        // Columns i to i + width - 1 lie below d, positions below to: all indices stay inside what the caller has checked.
        for (; i + 64 <= d; i += 64)
        {
            Vector256<float> y00 = Vector256.LoadUnsafe(ref y, i);
            Vector256<float> y01 = Vector256.LoadUnsafe(ref y, i + 8);
            Vector256<float> y02 = Vector256.LoadUnsafe(ref y, i + 16);
            Vector256<float> y03 = Vector256.LoadUnsafe(ref y, i + 24);
            Vector256<float> y04 = Vector256.LoadUnsafe(ref y, i + 32);
            Vector256<float> y05 = Vector256.LoadUnsafe(ref y, i + 40);
            Vector256<float> y06 = Vector256.LoadUnsafe(ref y, i + 48);
            Vector256<float> y07 = Vector256.LoadUnsafe(ref y, i + 56);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector256<float> v0 = TElement.Load256(ref v, at);
                Vector256<float> v1 = TElement.Load256(ref v, at + 8);
                Vector256<float> v2 = TElement.Load256(ref v, at + 16);
                Vector256<float> v3 = TElement.Load256(ref v, at + 24);
                Vector256<float> v4 = TElement.Load256(ref v, at + 32);
                Vector256<float> v5 = TElement.Load256(ref v, at + 40);
                Vector256<float> v6 = TElement.Load256(ref v, at + 48);
                Vector256<float> v7 = TElement.Load256(ref v, at + 56);
                Vector256<float> one = Vector256.Create(Unsafe.Add(ref w, p));
                y00 = Vector256.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector256.FusedMultiplyAdd(one, v1, y01);
                y02 = Vector256.FusedMultiplyAdd(one, v2, y02);
                y03 = Vector256.FusedMultiplyAdd(one, v3, y03);
                y04 = Vector256.FusedMultiplyAdd(one, v4, y04);
                y05 = Vector256.FusedMultiplyAdd(one, v5, y05);
                y06 = Vector256.FusedMultiplyAdd(one, v6, y06);
                y07 = Vector256.FusedMultiplyAdd(one, v7, y07);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 8);
            y02.StoreUnsafe(ref y, i + 16);
            y03.StoreUnsafe(ref y, i + 24);
            y04.StoreUnsafe(ref y, i + 32);
            y05.StoreUnsafe(ref y, i + 40);
            y06.StoreUnsafe(ref y, i + 48);
            y07.StoreUnsafe(ref y, i + 56);
        }

        for (; i + 32 <= d; i += 32)
        {
            Vector256<float> y00 = Vector256.LoadUnsafe(ref y, i);
            Vector256<float> y01 = Vector256.LoadUnsafe(ref y, i + 8);
            Vector256<float> y02 = Vector256.LoadUnsafe(ref y, i + 16);
            Vector256<float> y03 = Vector256.LoadUnsafe(ref y, i + 24);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector256<float> v0 = TElement.Load256(ref v, at);
                Vector256<float> v1 = TElement.Load256(ref v, at + 8);
                Vector256<float> v2 = TElement.Load256(ref v, at + 16);
                Vector256<float> v3 = TElement.Load256(ref v, at + 24);
                Vector256<float> one = Vector256.Create(Unsafe.Add(ref w, p));
                y00 = Vector256.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector256.FusedMultiplyAdd(one, v1, y01);
                y02 = Vector256.FusedMultiplyAdd(one, v2, y02);
                y03 = Vector256.FusedMultiplyAdd(one, v3, y03);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 8);
            y02.StoreUnsafe(ref y, i + 16);
            y03.StoreUnsafe(ref y, i + 24);
        }

        for (; i + 8 <= d; i += 8)
        {
            Vector256<float> y00 = Vector256.LoadUnsafe(ref y, i);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector256<float> v0 = TElement.Load256(ref v, at);
                Vector256<float> one = Vector256.Create(Unsafe.Add(ref w, p));
                y00 = Vector256.FusedMultiplyAdd(one, v0, y00);
            }

            y00.StoreUnsafe(ref y, i);
        }

        return i;
    }
}
