using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// The products in 512-bit vectors: a vector holds two columns of 16 rows as 16-bit integers, which one instruction multiplies with a pair of
/// activations and adds in pairs. Per token one integer and one float accumulator: with 12 tokens 24 of the 32 registers.
/// Bounds: the caller has checked that the block has <c>groups</c> groups and each tile of X as many.
/// </summary>
internal readonly partial struct Q8
{
    private const nuint FetchAhead = 4 * GroupSize;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Pair512(ref byte group, nuint pair) =>
        Avx512BW.ConvertToVector512Int16(Unsafe.ReadUnaligned<Vector256<sbyte>>(ref Unsafe.AddByteOffset(ref group, ScaleBytes + (pair * 32))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Product(Vector512<short> w, ref int x, nuint index) =>
        Avx512BW.MultiplyAddAdjacent(w, Vector512.Create(Unsafe.Add(ref x, index)).AsInt16());

    // Several tokens compute long enough on a group for the memory to fall asleep: what comes a few groups later is asked for.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(ref byte w)
    {
        for (nuint line = 0; line < GroupSize; line += 64)
        {
            ProcessorHints.Prefetch(in Unsafe.AddByteOffset(ref w, FetchAhead + line));
        }
    }

    private static void OneToken512(ref byte w, int groups, ref int x, float scale, ref float y)
    {
        Vector512<float> f = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            // Integer sums are exact, so two of them in parallel change nothing.
            Vector512<int> a = Vector512<int>.Zero, b = Vector512<int>.Zero;
            for (nuint p = 0; p < 16; p += 2)
            {
                a += Product(Pair512(ref w, p), ref x, p);
                b += Product(Pair512(ref w, p + 1), ref x, p + 1);
            }

            f = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a + b), F16.Load512(ref w), f);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x = ref Unsafe.Add(ref x, 16);
        }

        Lanes.Store(f * scale, ref y);
    }

    private static void Tokens4x512(ref byte w, int groups, ref int x0, ref float scales, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<int> a0 = Vector512<int>.Zero, a1 = Vector512<int>.Zero, a2 = Vector512<int>.Zero, a3 = Vector512<int>.Zero;
            for (nuint p = 0; p < 16; p++)
            {
                Vector512<short> v = Pair512(ref w, p);
                a0 += Product(v, ref x0, 0);
                a1 += Product(v, ref x0, 1);
                a2 += Product(v, ref x0, 2);
                a3 += Product(v, ref x0, 3);
                x0 = ref Unsafe.Add(ref x0, 4);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a0), d, f0);
            f1 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a1), d, f1);
            f2 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a2), d, f2);
            f3 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a3), d, f3);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
        }

        Lanes.Store(f0 * scales, ref y);
        Lanes.Store(f1 * Unsafe.Add(ref scales, 1), ref y, stride);
        Lanes.Store(f2 * Unsafe.Add(ref scales, 2), ref y, 2 * stride);
        Lanes.Store(f3 * Unsafe.Add(ref scales, 3), ref y, 3 * stride);
    }

    private static void Tokens8x512(ref byte w, int groups, ref int x0, ref int x1, ref float scales, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        Vector512<float> f4 = Vector512<float>.Zero, f5 = Vector512<float>.Zero, f6 = Vector512<float>.Zero, f7 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<int> a0 = Vector512<int>.Zero, a1 = Vector512<int>.Zero, a2 = Vector512<int>.Zero, a3 = Vector512<int>.Zero;
            Vector512<int> a4 = Vector512<int>.Zero, a5 = Vector512<int>.Zero, a6 = Vector512<int>.Zero, a7 = Vector512<int>.Zero;
            for (nuint p = 0; p < 16; p++)
            {
                Vector512<short> v = Pair512(ref w, p);
                a0 += Product(v, ref x0, 0);
                a1 += Product(v, ref x0, 1);
                a2 += Product(v, ref x0, 2);
                a3 += Product(v, ref x0, 3);
                a4 += Product(v, ref x1, 0);
                a5 += Product(v, ref x1, 1);
                a6 += Product(v, ref x1, 2);
                a7 += Product(v, ref x1, 3);
                x0 = ref Unsafe.Add(ref x0, 4);
                x1 = ref Unsafe.Add(ref x1, 4);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a0), d, f0);
            f1 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a1), d, f1);
            f2 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a2), d, f2);
            f3 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a3), d, f3);
            f4 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a4), d, f4);
            f5 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a5), d, f5);
            f6 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a6), d, f6);
            f7 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a7), d, f7);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
        }

        Lanes.Store(f0 * scales, ref y);
        Lanes.Store(f1 * Unsafe.Add(ref scales, 1), ref y, stride);
        Lanes.Store(f2 * Unsafe.Add(ref scales, 2), ref y, 2 * stride);
        Lanes.Store(f3 * Unsafe.Add(ref scales, 3), ref y, 3 * stride);
        Lanes.Store(f4 * Unsafe.Add(ref scales, 4), ref y, 4 * stride);
        Lanes.Store(f5 * Unsafe.Add(ref scales, 5), ref y, 5 * stride);
        Lanes.Store(f6 * Unsafe.Add(ref scales, 6), ref y, 6 * stride);
        Lanes.Store(f7 * Unsafe.Add(ref scales, 7), ref y, 7 * stride);
    }

    private static void Tokens12x512(ref byte w, int groups, ref int x0, ref int x1, ref int x2, ref float scales, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        Vector512<float> f4 = Vector512<float>.Zero, f5 = Vector512<float>.Zero, f6 = Vector512<float>.Zero, f7 = Vector512<float>.Zero;
        Vector512<float> f8 = Vector512<float>.Zero, f9 = Vector512<float>.Zero, f10 = Vector512<float>.Zero, f11 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<int> a0 = Vector512<int>.Zero, a1 = Vector512<int>.Zero, a2 = Vector512<int>.Zero, a3 = Vector512<int>.Zero;
            Vector512<int> a4 = Vector512<int>.Zero, a5 = Vector512<int>.Zero, a6 = Vector512<int>.Zero, a7 = Vector512<int>.Zero;
            Vector512<int> a8 = Vector512<int>.Zero, a9 = Vector512<int>.Zero, a10 = Vector512<int>.Zero, a11 = Vector512<int>.Zero;
            for (nuint p = 0; p < 16; p++)
            {
                Vector512<short> v = Pair512(ref w, p);
                a0 += Product(v, ref x0, 0);
                a1 += Product(v, ref x0, 1);
                a2 += Product(v, ref x0, 2);
                a3 += Product(v, ref x0, 3);
                a4 += Product(v, ref x1, 0);
                a5 += Product(v, ref x1, 1);
                a6 += Product(v, ref x1, 2);
                a7 += Product(v, ref x1, 3);
                a8 += Product(v, ref x2, 0);
                a9 += Product(v, ref x2, 1);
                a10 += Product(v, ref x2, 2);
                a11 += Product(v, ref x2, 3);
                x0 = ref Unsafe.Add(ref x0, 4);
                x1 = ref Unsafe.Add(ref x1, 4);
                x2 = ref Unsafe.Add(ref x2, 4);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a0), d, f0);
            f1 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a1), d, f1);
            f2 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a2), d, f2);
            f3 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a3), d, f3);
            f4 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a4), d, f4);
            f5 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a5), d, f5);
            f6 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a6), d, f6);
            f7 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a7), d, f7);
            f8 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a8), d, f8);
            f9 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a9), d, f9);
            f10 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a10), d, f10);
            f11 = Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(a11), d, f11);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
        }

        Lanes.Store(f0 * scales, ref y);
        Lanes.Store(f1 * Unsafe.Add(ref scales, 1), ref y, stride);
        Lanes.Store(f2 * Unsafe.Add(ref scales, 2), ref y, 2 * stride);
        Lanes.Store(f3 * Unsafe.Add(ref scales, 3), ref y, 3 * stride);
        Lanes.Store(f4 * Unsafe.Add(ref scales, 4), ref y, 4 * stride);
        Lanes.Store(f5 * Unsafe.Add(ref scales, 5), ref y, 5 * stride);
        Lanes.Store(f6 * Unsafe.Add(ref scales, 6), ref y, 6 * stride);
        Lanes.Store(f7 * Unsafe.Add(ref scales, 7), ref y, 7 * stride);
        Lanes.Store(f8 * Unsafe.Add(ref scales, 8), ref y, 8 * stride);
        Lanes.Store(f9 * Unsafe.Add(ref scales, 9), ref y, 9 * stride);
        Lanes.Store(f10 * Unsafe.Add(ref scales, 10), ref y, 10 * stride);
        Lanes.Store(f11 * Unsafe.Add(ref scales, 11), ref y, 11 * stride);
    }
}
