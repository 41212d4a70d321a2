using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// The products in 512-bit vectors: a vector holds four columns of 16 rows as bytes from 0 to 15, which one instruction multiplies with four
/// activations and adds in pairs to 16 bits. The sums of a group stay below 2^15 once the correction for the missing 8 is in; what overflows on
/// the way wraps around and comes back. Per token one integer and one float accumulator: with 12 tokens 24 of the 32 registers.
/// Bounds: the caller has checked that the block has <c>groups</c> groups and each tile of X as many.
/// </summary>
internal readonly partial struct Q4
{
    private const nuint FetchAhead = 8 * GroupSize;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Low(Vector512<byte> packed) => packed & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> High(Vector512<byte> packed) => (packed.AsUInt16() >> 4).AsByte() & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Bytes512(ref byte group, nuint index) =>
        Unsafe.ReadUnaligned<Vector512<byte>>(ref Unsafe.AddByteOffset(ref group, ScaleBytes + (index * 64)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Product(Vector512<byte> w, ref int x, nuint index) =>
        Avx512BW.MultiplyAddAdjacent(w, Vector512.Create(Unsafe.Add(ref x, index)).AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Correction512(ref int x, nuint index) => Vector512.Create(Unsafe.Add(ref x, index)).AsInt16();

    // One group's sum into the running result: pairs of 16-bit sums, to float, times both scales.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> AddGroup(Vector512<float> f, Vector512<short> a, Vector512<float> d, ref int x, nuint scale) =>
        Vector512.FusedMultiplyAdd(
            Vector512.ConvertToSingle(Avx512BW.MultiplyAddAdjacent(a, Vector512.Create((short)1))),
            d * Vector512.Create(BitConverter.Int32BitsToSingle(Unsafe.Add(ref x, scale))),
            f);

    // Several tokens compute long enough on a group for the memory to fall asleep: what comes a few groups later is asked for.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(ref byte w)
    {
        for (nuint line = 0; line < GroupSize; line += 64)
        {
            ProcessorHints.Prefetch(in Unsafe.AddByteOffset(ref w, FetchAhead + line));
        }
    }

    private static void OneToken512(ref byte w, int groups, ref int x, ref float y)
    {
        Vector512<float> f = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Vector512<short> a = Correction512(ref x, 8), b = Vector512<short>.Zero;
            for (nuint i = 0; i < 4; i++)
            {
                Vector512<byte> packed = Bytes512(ref w, i);
                a += Product(Low(packed), ref x, 2 * i);
                b += Product(High(packed), ref x, (2 * i) + 1);
            }

            f = AddGroup(f, a + b, F16.Load512(ref w), ref x, 9);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x = ref Unsafe.Add(ref x, 10);
        }

        Lanes.Store(f, ref y);
    }

    private static void Tokens4x512(ref byte w, int groups, ref int x0, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<short> a0 = Correction512(ref x0, 32), a1 = Correction512(ref x0, 33);
            Vector512<short> a2 = Correction512(ref x0, 34), a3 = Correction512(ref x0, 35);
            for (nuint i = 0; i < 4; i++)
            {
                Vector512<byte> packed = Bytes512(ref w, i);
                Vector512<byte> v = Low(packed);
                a0 += Product(v, ref x0, 0);
                a1 += Product(v, ref x0, 1);
                a2 += Product(v, ref x0, 2);
                a3 += Product(v, ref x0, 3);
                v = High(packed);
                a0 += Product(v, ref x0, 4);
                a1 += Product(v, ref x0, 5);
                a2 += Product(v, ref x0, 6);
                a3 += Product(v, ref x0, 7);
                x0 = ref Unsafe.Add(ref x0, 8);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = AddGroup(f0, a0, d, ref x0, 4);
            f1 = AddGroup(f1, a1, d, ref x0, 5);
            f2 = AddGroup(f2, a2, d, ref x0, 6);
            f3 = AddGroup(f3, a3, d, ref x0, 7);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x0 = ref Unsafe.Add(ref x0, 8);
        }

        Lanes.Store(f0, ref y);
        Lanes.Store(f1, ref y, stride);
        Lanes.Store(f2, ref y, 2 * stride);
        Lanes.Store(f3, ref y, 3 * stride);
    }

    private static void Tokens8x512(ref byte w, int groups, ref int x0, ref int x1, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        Vector512<float> f4 = Vector512<float>.Zero, f5 = Vector512<float>.Zero, f6 = Vector512<float>.Zero, f7 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<short> a0 = Correction512(ref x0, 32), a1 = Correction512(ref x0, 33);
            Vector512<short> a2 = Correction512(ref x0, 34), a3 = Correction512(ref x0, 35);
            Vector512<short> a4 = Correction512(ref x1, 32), a5 = Correction512(ref x1, 33);
            Vector512<short> a6 = Correction512(ref x1, 34), a7 = Correction512(ref x1, 35);
            for (nuint i = 0; i < 4; i++)
            {
                Vector512<byte> packed = Bytes512(ref w, i);
                Vector512<byte> v = Low(packed);
                a0 += Product(v, ref x0, 0);
                a1 += Product(v, ref x0, 1);
                a2 += Product(v, ref x0, 2);
                a3 += Product(v, ref x0, 3);
                a4 += Product(v, ref x1, 0);
                a5 += Product(v, ref x1, 1);
                a6 += Product(v, ref x1, 2);
                a7 += Product(v, ref x1, 3);
                v = High(packed);
                a0 += Product(v, ref x0, 4);
                a1 += Product(v, ref x0, 5);
                a2 += Product(v, ref x0, 6);
                a3 += Product(v, ref x0, 7);
                a4 += Product(v, ref x1, 4);
                a5 += Product(v, ref x1, 5);
                a6 += Product(v, ref x1, 6);
                a7 += Product(v, ref x1, 7);
                x0 = ref Unsafe.Add(ref x0, 8);
                x1 = ref Unsafe.Add(ref x1, 8);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = AddGroup(f0, a0, d, ref x0, 4);
            f1 = AddGroup(f1, a1, d, ref x0, 5);
            f2 = AddGroup(f2, a2, d, ref x0, 6);
            f3 = AddGroup(f3, a3, d, ref x0, 7);
            f4 = AddGroup(f4, a4, d, ref x1, 4);
            f5 = AddGroup(f5, a5, d, ref x1, 5);
            f6 = AddGroup(f6, a6, d, ref x1, 6);
            f7 = AddGroup(f7, a7, d, ref x1, 7);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x0 = ref Unsafe.Add(ref x0, 8);
            x1 = ref Unsafe.Add(ref x1, 8);
        }

        Lanes.Store(f0, ref y);
        Lanes.Store(f1, ref y, stride);
        Lanes.Store(f2, ref y, 2 * stride);
        Lanes.Store(f3, ref y, 3 * stride);
        Lanes.Store(f4, ref y, 4 * stride);
        Lanes.Store(f5, ref y, 5 * stride);
        Lanes.Store(f6, ref y, 6 * stride);
        Lanes.Store(f7, ref y, 7 * stride);
    }

    private static void Tokens12x512(ref byte w, int groups, ref int x0, ref int x1, ref int x2, ref float y, nuint stride)
    {
        Vector512<float> f0 = Vector512<float>.Zero, f1 = Vector512<float>.Zero, f2 = Vector512<float>.Zero, f3 = Vector512<float>.Zero;
        Vector512<float> f4 = Vector512<float>.Zero, f5 = Vector512<float>.Zero, f6 = Vector512<float>.Zero, f7 = Vector512<float>.Zero;
        Vector512<float> f8 = Vector512<float>.Zero, f9 = Vector512<float>.Zero, f10 = Vector512<float>.Zero, f11 = Vector512<float>.Zero;
        for (int g = 0; g < groups; g++)
        {
            Fetch(ref w);
            Vector512<short> a0 = Correction512(ref x0, 32), a1 = Correction512(ref x0, 33);
            Vector512<short> a2 = Correction512(ref x0, 34), a3 = Correction512(ref x0, 35);
            Vector512<short> a4 = Correction512(ref x1, 32), a5 = Correction512(ref x1, 33);
            Vector512<short> a6 = Correction512(ref x1, 34), a7 = Correction512(ref x1, 35);
            Vector512<short> a8 = Correction512(ref x2, 32), a9 = Correction512(ref x2, 33);
            Vector512<short> a10 = Correction512(ref x2, 34), a11 = Correction512(ref x2, 35);
            for (nuint i = 0; i < 4; i++)
            {
                Vector512<byte> packed = Bytes512(ref w, i);
                Vector512<byte> v = Low(packed);
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
                v = High(packed);
                a0 += Product(v, ref x0, 4);
                a1 += Product(v, ref x0, 5);
                a2 += Product(v, ref x0, 6);
                a3 += Product(v, ref x0, 7);
                a4 += Product(v, ref x1, 4);
                a5 += Product(v, ref x1, 5);
                a6 += Product(v, ref x1, 6);
                a7 += Product(v, ref x1, 7);
                a8 += Product(v, ref x2, 4);
                a9 += Product(v, ref x2, 5);
                a10 += Product(v, ref x2, 6);
                a11 += Product(v, ref x2, 7);
                x0 = ref Unsafe.Add(ref x0, 8);
                x1 = ref Unsafe.Add(ref x1, 8);
                x2 = ref Unsafe.Add(ref x2, 8);
            }

            Vector512<float> d = F16.Load512(ref w);
            f0 = AddGroup(f0, a0, d, ref x0, 4);
            f1 = AddGroup(f1, a1, d, ref x0, 5);
            f2 = AddGroup(f2, a2, d, ref x0, 6);
            f3 = AddGroup(f3, a3, d, ref x0, 7);
            f4 = AddGroup(f4, a4, d, ref x1, 4);
            f5 = AddGroup(f5, a5, d, ref x1, 5);
            f6 = AddGroup(f6, a6, d, ref x1, 6);
            f7 = AddGroup(f7, a7, d, ref x1, 7);
            f8 = AddGroup(f8, a8, d, ref x2, 4);
            f9 = AddGroup(f9, a9, d, ref x2, 5);
            f10 = AddGroup(f10, a10, d, ref x2, 6);
            f11 = AddGroup(f11, a11, d, ref x2, 7);
            w = ref Unsafe.AddByteOffset(ref w, GroupSize);
            x0 = ref Unsafe.Add(ref x0, 8);
            x1 = ref Unsafe.Add(ref x1, 8);
            x2 = ref Unsafe.Add(ref x2, 8);
        }

        Lanes.Store(f0, ref y);
        Lanes.Store(f1, ref y, stride);
        Lanes.Store(f2, ref y, 2 * stride);
        Lanes.Store(f3, ref y, 3 * stride);
        Lanes.Store(f4, ref y, 4 * stride);
        Lanes.Store(f5, ref y, 5 * stride);
        Lanes.Store(f6, ref y, 6 * stride);
        Lanes.Store(f7, ref y, 7 * stride);
        Lanes.Store(f8, ref y, 8 * stride);
        Lanes.Store(f9, ref y, 9 * stride);
        Lanes.Store(f10, ref y, 10 * stride);
        Lanes.Store(f11, ref y, 11 * stride);
    }
}
