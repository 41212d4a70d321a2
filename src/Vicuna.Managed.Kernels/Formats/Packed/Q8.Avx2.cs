using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// The products in 256-bit vectors, half a block (8 rows) at a time: with 4 tokens 8 accumulators of the 16 registers. Where the CPU has AVX-VNNI,
/// product and sum are one instruction; the integers are the same.
/// Bounds: the caller has checked that the block has <c>groups</c> groups and each tile of X as many.
/// </summary>
internal readonly partial struct Q8
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Pair256(ref byte half, nuint pair) =>
        Avx2.ConvertToVector256Int16(Unsafe.ReadUnaligned<Vector128<sbyte>>(ref Unsafe.AddByteOffset(ref half, ScaleBytes + (pair * 32))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> AddProduct(Vector256<int> sum, Vector256<short> w, ref int x, nuint index)
    {
        Vector256<short> pair = Vector256.Create(Unsafe.Add(ref x, index)).AsInt16();
        return AvxVnni.IsSupported ? AvxVnni.MultiplyWideningAndAdd(sum, w, pair) : sum + Avx2.MultiplyAddAdjacent(w, pair);
    }

    private static void OneToken256(ref byte w, int groups, ref int x, float scale, ref float y)
    {
        Vector256<float> f = Vector256<float>.Zero, h = Vector256<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Vector256<int> a = Vector256<int>.Zero, b = Vector256<int>.Zero;
            for (nuint p = 0; p < 16; p++)
            {
                a = AddProduct(a, Pair256(ref w, p), ref x, p);
                b = AddProduct(b, Pair256(ref Unsafe.AddByteOffset(ref w, 16), p), ref x, p);
            }

            f = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(a), F16.Load256(ref w), f);
            h = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(b), F16.Load256(ref Unsafe.AddByteOffset(ref w, 16)), h);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x = ref Unsafe.Add(ref x, 16);
        }

        Lanes.Store(f * scale, ref y);
        Lanes.Store(h * scale, ref y, 8);
    }

    private static void Tokens4x256(ref byte w, int groups, ref int x, ref float scales, ref float y, nuint stride)
    {
        Half4x256(ref w, groups, ref x, ref scales, ref y, stride);
        // Scales and pairs of the upper rows lie 16 bytes behind those of the lower.
        Half4x256(ref Unsafe.AddByteOffset(ref w, 16), groups, ref x, ref scales, ref Unsafe.Add(ref y, 8), stride);
    }

    private static void Half4x256(ref byte w, int groups, ref int x, ref float scales, ref float y, nuint stride)
    {
        Vector256<float> f0 = Vector256<float>.Zero, f1 = Vector256<float>.Zero, f2 = Vector256<float>.Zero, f3 = Vector256<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Vector256<int> a0 = Vector256<int>.Zero, a1 = Vector256<int>.Zero, a2 = Vector256<int>.Zero, a3 = Vector256<int>.Zero;
            for (nuint p = 0; p < 16; p++)
            {
                Vector256<short> v = Pair256(ref w, p);
                a0 = AddProduct(a0, v, ref x, 0);
                a1 = AddProduct(a1, v, ref x, 1);
                a2 = AddProduct(a2, v, ref x, 2);
                a3 = AddProduct(a3, v, ref x, 3);
                x = ref Unsafe.Add(ref x, 4);
            }

            Vector256<float> d = F16.Load256(ref w);
            f0 = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(a0), d, f0);
            f1 = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(a1), d, f1);
            f2 = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(a2), d, f2);
            f3 = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(a3), d, f3);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
        }

        Lanes.Store(f0 * scales, ref y);
        Lanes.Store(f1 * Unsafe.Add(ref scales, 1), ref y, stride);
        Lanes.Store(f2 * Unsafe.Add(ref scales, 2), ref y, 2 * stride);
        Lanes.Store(f3 * Unsafe.Add(ref scales, 3), ref y, 3 * stride);
    }
}
