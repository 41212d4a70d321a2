using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <content>512-bit vectors: four of them by four rows, up to eight by one. Accumulators are named locals: the JIT keeps those in registers.</content>
internal static partial class AttentionKernels
{
    private static void ScoresOfTile512<TElement>(ref float q, ref byte k, nuint d, ref float s)
        where TElement : struct, IKvElement
    {
        Vector512<float> s00 = Vector512<float>.Zero, s01 = Vector512<float>.Zero, s02 = Vector512<float>.Zero, s03 = Vector512<float>.Zero;
        Vector512<float> s10 = Vector512<float>.Zero, s11 = Vector512<float>.Zero, s12 = Vector512<float>.Zero, s13 = Vector512<float>.Zero;
        Vector512<float> s20 = Vector512<float>.Zero, s21 = Vector512<float>.Zero, s22 = Vector512<float>.Zero, s23 = Vector512<float>.Zero;
        Vector512<float> s30 = Vector512<float>.Zero, s31 = Vector512<float>.Zero, s32 = Vector512<float>.Zero, s33 = Vector512<float>.Zero;
        // keys holds d · Positions elements, queries d per row: both indices stay below.
        for (nuint i = 0; i < d; i++)
        {
            nuint at = i * Positions;
            Vector512<float> k0 = TElement.Load512(ref k, at);
            Vector512<float> k1 = TElement.Load512(ref k, at + 16);
            Vector512<float> k2 = TElement.Load512(ref k, at + 32);
            Vector512<float> k3 = TElement.Load512(ref k, at + 48);
            Vector512<float> one = Vector512.Create(Unsafe.Add(ref q, 4 * i));
            s00 = Vector512.FusedMultiplyAdd(one, k0, s00);
            s01 = Vector512.FusedMultiplyAdd(one, k1, s01);
            s02 = Vector512.FusedMultiplyAdd(one, k2, s02);
            s03 = Vector512.FusedMultiplyAdd(one, k3, s03);
            one = Vector512.Create(Unsafe.Add(ref q, (4 * i) + 1));
            s10 = Vector512.FusedMultiplyAdd(one, k0, s10);
            s11 = Vector512.FusedMultiplyAdd(one, k1, s11);
            s12 = Vector512.FusedMultiplyAdd(one, k2, s12);
            s13 = Vector512.FusedMultiplyAdd(one, k3, s13);
            one = Vector512.Create(Unsafe.Add(ref q, (4 * i) + 2));
            s20 = Vector512.FusedMultiplyAdd(one, k0, s20);
            s21 = Vector512.FusedMultiplyAdd(one, k1, s21);
            s22 = Vector512.FusedMultiplyAdd(one, k2, s22);
            s23 = Vector512.FusedMultiplyAdd(one, k3, s23);
            one = Vector512.Create(Unsafe.Add(ref q, (4 * i) + 3));
            s30 = Vector512.FusedMultiplyAdd(one, k0, s30);
            s31 = Vector512.FusedMultiplyAdd(one, k1, s31);
            s32 = Vector512.FusedMultiplyAdd(one, k2, s32);
            s33 = Vector512.FusedMultiplyAdd(one, k3, s33);
        }

        s00.StoreUnsafe(ref s);
        s01.StoreUnsafe(ref s, 16);
        s02.StoreUnsafe(ref s, 32);
        s03.StoreUnsafe(ref s, 48);
        s10.StoreUnsafe(ref s, Positions);
        s11.StoreUnsafe(ref s, Positions + 16);
        s12.StoreUnsafe(ref s, Positions + 32);
        s13.StoreUnsafe(ref s, Positions + 48);
        s20.StoreUnsafe(ref s, 2 * Positions);
        s21.StoreUnsafe(ref s, (2 * Positions) + 16);
        s22.StoreUnsafe(ref s, (2 * Positions) + 32);
        s23.StoreUnsafe(ref s, (2 * Positions) + 48);
        s30.StoreUnsafe(ref s, 3 * Positions);
        s31.StoreUnsafe(ref s, (3 * Positions) + 16);
        s32.StoreUnsafe(ref s, (3 * Positions) + 32);
        s33.StoreUnsafe(ref s, (3 * Positions) + 48);
    }

    private static void ScoresOfRow512<TElement>(ref float q, ref byte k, nuint d, ref float s)
        where TElement : struct, IKvElement
    {
        Vector512<float> s00 = Vector512<float>.Zero, s01 = Vector512<float>.Zero, s02 = Vector512<float>.Zero, s03 = Vector512<float>.Zero;
        // keys holds d · Positions elements, queries d per row: both indices stay below.
        for (nuint i = 0; i < d; i++)
        {
            nuint at = i * Positions;
            Vector512<float> k0 = TElement.Load512(ref k, at);
            Vector512<float> k1 = TElement.Load512(ref k, at + 16);
            Vector512<float> k2 = TElement.Load512(ref k, at + 32);
            Vector512<float> k3 = TElement.Load512(ref k, at + 48);
            Vector512<float> one = Vector512.Create(Unsafe.Add(ref q, i));
            s00 = Vector512.FusedMultiplyAdd(one, k0, s00);
            s01 = Vector512.FusedMultiplyAdd(one, k1, s01);
            s02 = Vector512.FusedMultiplyAdd(one, k2, s02);
            s03 = Vector512.FusedMultiplyAdd(one, k3, s03);
        }

        s00.StoreUnsafe(ref s);
        s01.StoreUnsafe(ref s, 16);
        s02.StoreUnsafe(ref s, 32);
        s03.StoreUnsafe(ref s, 48);
    }

    private static nuint AddTile512<TElement>(ref float w, ref byte v, nuint from, nuint to, nuint d, ref float y)
        where TElement : struct, IKvElement
    {
        nuint i = 0;
        // Columns i to i + width - 1 lie below d, positions below to: all indices stay inside what the caller has checked.
        for (; i + 64 <= d; i += 64)
        {
            Vector512<float> y00 = Vector512.LoadUnsafe(ref y, i);
            Vector512<float> y01 = Vector512.LoadUnsafe(ref y, i + 16);
            Vector512<float> y02 = Vector512.LoadUnsafe(ref y, i + 32);
            Vector512<float> y03 = Vector512.LoadUnsafe(ref y, i + 48);
            Vector512<float> y10 = Vector512.LoadUnsafe(ref y, d + i);
            Vector512<float> y11 = Vector512.LoadUnsafe(ref y, d + i + 16);
            Vector512<float> y12 = Vector512.LoadUnsafe(ref y, d + i + 32);
            Vector512<float> y13 = Vector512.LoadUnsafe(ref y, d + i + 48);
            Vector512<float> y20 = Vector512.LoadUnsafe(ref y, (2 * d) + i);
            Vector512<float> y21 = Vector512.LoadUnsafe(ref y, (2 * d) + i + 16);
            Vector512<float> y22 = Vector512.LoadUnsafe(ref y, (2 * d) + i + 32);
            Vector512<float> y23 = Vector512.LoadUnsafe(ref y, (2 * d) + i + 48);
            Vector512<float> y30 = Vector512.LoadUnsafe(ref y, (3 * d) + i);
            Vector512<float> y31 = Vector512.LoadUnsafe(ref y, (3 * d) + i + 16);
            Vector512<float> y32 = Vector512.LoadUnsafe(ref y, (3 * d) + i + 32);
            Vector512<float> y33 = Vector512.LoadUnsafe(ref y, (3 * d) + i + 48);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector512<float> v0 = TElement.Load512(ref v, at);
                Vector512<float> v1 = TElement.Load512(ref v, at + 16);
                Vector512<float> v2 = TElement.Load512(ref v, at + 32);
                Vector512<float> v3 = TElement.Load512(ref v, at + 48);
                Vector512<float> one = Vector512.Create(Unsafe.Add(ref w, p));
                y00 = Vector512.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector512.FusedMultiplyAdd(one, v1, y01);
                y02 = Vector512.FusedMultiplyAdd(one, v2, y02);
                y03 = Vector512.FusedMultiplyAdd(one, v3, y03);
                one = Vector512.Create(Unsafe.Add(ref w, p + Positions));
                y10 = Vector512.FusedMultiplyAdd(one, v0, y10);
                y11 = Vector512.FusedMultiplyAdd(one, v1, y11);
                y12 = Vector512.FusedMultiplyAdd(one, v2, y12);
                y13 = Vector512.FusedMultiplyAdd(one, v3, y13);
                one = Vector512.Create(Unsafe.Add(ref w, p + (2 * Positions)));
                y20 = Vector512.FusedMultiplyAdd(one, v0, y20);
                y21 = Vector512.FusedMultiplyAdd(one, v1, y21);
                y22 = Vector512.FusedMultiplyAdd(one, v2, y22);
                y23 = Vector512.FusedMultiplyAdd(one, v3, y23);
                one = Vector512.Create(Unsafe.Add(ref w, p + (3 * Positions)));
                y30 = Vector512.FusedMultiplyAdd(one, v0, y30);
                y31 = Vector512.FusedMultiplyAdd(one, v1, y31);
                y32 = Vector512.FusedMultiplyAdd(one, v2, y32);
                y33 = Vector512.FusedMultiplyAdd(one, v3, y33);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 16);
            y02.StoreUnsafe(ref y, i + 32);
            y03.StoreUnsafe(ref y, i + 48);
            y10.StoreUnsafe(ref y, d + i);
            y11.StoreUnsafe(ref y, d + i + 16);
            y12.StoreUnsafe(ref y, d + i + 32);
            y13.StoreUnsafe(ref y, d + i + 48);
            y20.StoreUnsafe(ref y, (2 * d) + i);
            y21.StoreUnsafe(ref y, (2 * d) + i + 16);
            y22.StoreUnsafe(ref y, (2 * d) + i + 32);
            y23.StoreUnsafe(ref y, (2 * d) + i + 48);
            y30.StoreUnsafe(ref y, (3 * d) + i);
            y31.StoreUnsafe(ref y, (3 * d) + i + 16);
            y32.StoreUnsafe(ref y, (3 * d) + i + 32);
            y33.StoreUnsafe(ref y, (3 * d) + i + 48);
        }

        for (; i + 16 <= d; i += 16)
        {
            Vector512<float> y00 = Vector512.LoadUnsafe(ref y, i);
            Vector512<float> y10 = Vector512.LoadUnsafe(ref y, d + i);
            Vector512<float> y20 = Vector512.LoadUnsafe(ref y, (2 * d) + i);
            Vector512<float> y30 = Vector512.LoadUnsafe(ref y, (3 * d) + i);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector512<float> v0 = TElement.Load512(ref v, at);
                Vector512<float> one = Vector512.Create(Unsafe.Add(ref w, p));
                y00 = Vector512.FusedMultiplyAdd(one, v0, y00);
                one = Vector512.Create(Unsafe.Add(ref w, p + Positions));
                y10 = Vector512.FusedMultiplyAdd(one, v0, y10);
                one = Vector512.Create(Unsafe.Add(ref w, p + (2 * Positions)));
                y20 = Vector512.FusedMultiplyAdd(one, v0, y20);
                one = Vector512.Create(Unsafe.Add(ref w, p + (3 * Positions)));
                y30 = Vector512.FusedMultiplyAdd(one, v0, y30);
            }

            y00.StoreUnsafe(ref y, i);
            y10.StoreUnsafe(ref y, d + i);
            y20.StoreUnsafe(ref y, (2 * d) + i);
            y30.StoreUnsafe(ref y, (3 * d) + i);
        }

        return i;
    }

    private static nuint AddRow512<TElement>(ref float w, ref byte v, nuint from, nuint to, nuint d, ref float y)
        where TElement : struct, IKvElement
    {
        nuint i = 0;
        // Columns i to i + width - 1 lie below d, positions below to: all indices stay inside what the caller has checked.
        for (; i + 128 <= d; i += 128)
        {
            Vector512<float> y00 = Vector512.LoadUnsafe(ref y, i);
            Vector512<float> y01 = Vector512.LoadUnsafe(ref y, i + 16);
            Vector512<float> y02 = Vector512.LoadUnsafe(ref y, i + 32);
            Vector512<float> y03 = Vector512.LoadUnsafe(ref y, i + 48);
            Vector512<float> y04 = Vector512.LoadUnsafe(ref y, i + 64);
            Vector512<float> y05 = Vector512.LoadUnsafe(ref y, i + 80);
            Vector512<float> y06 = Vector512.LoadUnsafe(ref y, i + 96);
            Vector512<float> y07 = Vector512.LoadUnsafe(ref y, i + 112);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector512<float> v0 = TElement.Load512(ref v, at);
                Vector512<float> v1 = TElement.Load512(ref v, at + 16);
                Vector512<float> v2 = TElement.Load512(ref v, at + 32);
                Vector512<float> v3 = TElement.Load512(ref v, at + 48);
                Vector512<float> v4 = TElement.Load512(ref v, at + 64);
                Vector512<float> v5 = TElement.Load512(ref v, at + 80);
                Vector512<float> v6 = TElement.Load512(ref v, at + 96);
                Vector512<float> v7 = TElement.Load512(ref v, at + 112);
                Vector512<float> one = Vector512.Create(Unsafe.Add(ref w, p));
                y00 = Vector512.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector512.FusedMultiplyAdd(one, v1, y01);
                y02 = Vector512.FusedMultiplyAdd(one, v2, y02);
                y03 = Vector512.FusedMultiplyAdd(one, v3, y03);
                y04 = Vector512.FusedMultiplyAdd(one, v4, y04);
                y05 = Vector512.FusedMultiplyAdd(one, v5, y05);
                y06 = Vector512.FusedMultiplyAdd(one, v6, y06);
                y07 = Vector512.FusedMultiplyAdd(one, v7, y07);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 16);
            y02.StoreUnsafe(ref y, i + 32);
            y03.StoreUnsafe(ref y, i + 48);
            y04.StoreUnsafe(ref y, i + 64);
            y05.StoreUnsafe(ref y, i + 80);
            y06.StoreUnsafe(ref y, i + 96);
            y07.StoreUnsafe(ref y, i + 112);
        }

        for (; i + 64 <= d; i += 64)
        {
            Vector512<float> y00 = Vector512.LoadUnsafe(ref y, i);
            Vector512<float> y01 = Vector512.LoadUnsafe(ref y, i + 16);
            Vector512<float> y02 = Vector512.LoadUnsafe(ref y, i + 32);
            Vector512<float> y03 = Vector512.LoadUnsafe(ref y, i + 48);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector512<float> v0 = TElement.Load512(ref v, at);
                Vector512<float> v1 = TElement.Load512(ref v, at + 16);
                Vector512<float> v2 = TElement.Load512(ref v, at + 32);
                Vector512<float> v3 = TElement.Load512(ref v, at + 48);
                Vector512<float> one = Vector512.Create(Unsafe.Add(ref w, p));
                y00 = Vector512.FusedMultiplyAdd(one, v0, y00);
                y01 = Vector512.FusedMultiplyAdd(one, v1, y01);
                y02 = Vector512.FusedMultiplyAdd(one, v2, y02);
                y03 = Vector512.FusedMultiplyAdd(one, v3, y03);
            }

            y00.StoreUnsafe(ref y, i);
            y01.StoreUnsafe(ref y, i + 16);
            y02.StoreUnsafe(ref y, i + 32);
            y03.StoreUnsafe(ref y, i + 48);
        }

        for (; i + 16 <= d; i += 16)
        {
            Vector512<float> y00 = Vector512.LoadUnsafe(ref y, i);
            for (nuint p = from; p < to; p++)
            {
                nuint at = (p * d) + i;
                Vector512<float> v0 = TElement.Load512(ref v, at);
                Vector512<float> one = Vector512.Create(Unsafe.Add(ref w, p));
                y00 = Vector512.FusedMultiplyAdd(one, v0, y00);
            }

            y00.StoreUnsafe(ref y, i);
        }

        return i;
    }
}
