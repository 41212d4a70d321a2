using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// The products in 256-bit vectors, half a block (8 rows) at a time: with 4 tokens 8 accumulators of the 16 registers. Where the CPU has AVX-VNNI,
/// products are summed in 32 bits by one instruction; the sums are the same.
/// Bounds: the caller has checked that the block has <c>groups</c> groups and each tile of X as many.
/// </summary>
internal readonly partial struct Q4
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Low(Vector256<byte> packed) => packed & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> High(Vector256<byte> packed) => (packed.AsUInt16() >> 4).AsByte() & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Bytes256(ref byte half, nuint index) =>
        Unsafe.ReadUnaligned<Vector256<byte>>(ref Unsafe.AddByteOffset(ref half, index * 64));

    // The sum of a group: 16-bit pairs, or 32-bit sums with AVX-VNNI. GroupSum brings both to 32 bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> AddProduct(Vector256<int> sum, Vector256<byte> w, ref int x, nuint index)
    {
        Vector256<sbyte> four = Vector256.Create(Unsafe.Add(ref x, index)).AsSByte();
        return AvxVnni.IsSupported
            ? AvxVnni.MultiplyWideningAndAdd(sum, w, four)
            : (sum.AsInt16() + Avx2.MultiplyAddAdjacent(w, four)).AsInt32();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Correction256(ref int x, nuint index)
    {
        Vector256<int> pairs = Vector256.Create(Unsafe.Add(ref x, index));
        return AvxVnni.IsSupported ? Avx2.MultiplyAddAdjacent(pairs.AsInt16(), Vector256.Create((short)1)) : pairs;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> AddGroup(Vector256<float> f, Vector256<int> a, Vector256<float> d, ref int x, nuint scale)
    {
        Vector256<int> sum = AvxVnni.IsSupported ? a : Avx2.MultiplyAddAdjacent(a.AsInt16(), Vector256.Create((short)1));
        return Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(sum), d * Vector256.Create(BitConverter.Int32BitsToSingle(Unsafe.Add(ref x, scale))), f);
    }

    private static void OneToken256(ref byte w, int groups, ref int x, ref float y)
    {
        Vector256<float> f = Vector256<float>.Zero, h = Vector256<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            ref byte lower = ref Unsafe.AddByteOffset(ref w, ScaleBytes);
            ref byte upper = ref Unsafe.AddByteOffset(ref w, ScaleBytes + 32);
            Vector256<int> a = Correction256(ref x, 8), b = a;
            for (nuint i = 0; i < 4; i++)
            {
                Vector256<byte> packed = Bytes256(ref lower, i);
                a = AddProduct(a, Low(packed), ref x, 2 * i);
                a = AddProduct(a, High(packed), ref x, (2 * i) + 1);
                packed = Bytes256(ref upper, i);
                b = AddProduct(b, Low(packed), ref x, 2 * i);
                b = AddProduct(b, High(packed), ref x, (2 * i) + 1);
            }

            f = AddGroup(f, a, F16.Load256(ref w), ref x, 9);
            h = AddGroup(h, b, F16.Load256(ref Unsafe.AddByteOffset(ref w, 16)), ref x, 9);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x = ref Unsafe.Add(ref x, 10);
        }

        Lanes.Store(f, ref y);
        Lanes.Store(h, ref y, 8);
    }

    private static void Tokens4x256(ref byte w, int groups, ref int x, ref float y, nuint stride)
    {
        Half4x256(ref w, 0, groups, ref x, ref y, stride);
        Half4x256(ref w, 1, groups, ref x, ref Unsafe.Add(ref y, 8), stride);
    }

    private static void Half4x256(ref byte w, nuint half, int groups, ref int x, ref float y, nuint stride)
    {
        Vector256<float> f0 = Vector256<float>.Zero, f1 = Vector256<float>.Zero, f2 = Vector256<float>.Zero, f3 = Vector256<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            ref byte bytes = ref Unsafe.AddByteOffset(ref w, ScaleBytes + (half * 32));
            Vector256<int> a0 = Correction256(ref x, 32), a1 = Correction256(ref x, 33), a2 = Correction256(ref x, 34), a3 = Correction256(ref x, 35);
            for (nuint i = 0; i < 4; i++)
            {
                Vector256<byte> packed = Bytes256(ref bytes, i);
                Vector256<byte> v = Low(packed);
                a0 = AddProduct(a0, v, ref x, 0);
                a1 = AddProduct(a1, v, ref x, 1);
                a2 = AddProduct(a2, v, ref x, 2);
                a3 = AddProduct(a3, v, ref x, 3);
                v = High(packed);
                a0 = AddProduct(a0, v, ref x, 4);
                a1 = AddProduct(a1, v, ref x, 5);
                a2 = AddProduct(a2, v, ref x, 6);
                a3 = AddProduct(a3, v, ref x, 7);
                x = ref Unsafe.Add(ref x, 8);
            }

            Vector256<float> d = F16.Load256(ref Unsafe.AddByteOffset(ref w, half * 16));
            f0 = AddGroup(f0, a0, d, ref x, 4);
            f1 = AddGroup(f1, a1, d, ref x, 5);
            f2 = AddGroup(f2, a2, d, ref x, 6);
            f3 = AddGroup(f3, a3, d, ref x, 7);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x = ref Unsafe.Add(ref x, 8);
        }

        Lanes.Store(f0, ref y);
        Lanes.Store(f1, ref y, stride);
        Lanes.Store(f2, ref y, 2 * stride);
        Lanes.Store(f3, ref y, 3 * stride);
    }
}
