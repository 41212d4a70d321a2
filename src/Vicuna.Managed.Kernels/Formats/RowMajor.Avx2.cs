using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The tiles in 256-bit vectors: 8 columns to a vector. The widest tile keeps 8 accumulators, 4 rows of W and 1 row of X: 13 of the 16 registers.
/// Bounds: the caller has checked that rows · columns elements of W and tokens · columns elements of X exist; the vector loops stop at the
/// last whole vector (k + 8 is at most the column count), <see cref="Tail"/> takes the rest.
/// </summary>
internal static partial class RowMajor
{
    private static float Dot256<TLoader>(ref byte w, int columns, ref float x)
        where TLoader : struct, IFloatLoader
    {
        nuint count = (nuint)columns;
        Vector256<float> sum = Vector256<float>.Zero;
        nuint k = 0;
        nuint step = 8 * (nuint)TLoader.ElementBytes;
        // Four vectors a turn, into the one accumulator: the order of the sum stays, the loop's own instructions are a quarter.
        for (; k + 32 <= count; k += 32)
        {
            ref byte four = ref Unsafe.AddByteOffset(ref w, k * (nuint)TLoader.ElementBytes);
            sum = Vector256.FusedMultiplyAdd(TLoader.Load256(ref four), Lanes.Load256(ref x, k), sum);
            sum = Vector256.FusedMultiplyAdd(TLoader.Load256(ref Unsafe.AddByteOffset(ref four, step)), Lanes.Load256(ref x, k + 8), sum);
            sum = Vector256.FusedMultiplyAdd(TLoader.Load256(ref Unsafe.AddByteOffset(ref four, 2 * step)), Lanes.Load256(ref x, k + 16), sum);
            sum = Vector256.FusedMultiplyAdd(TLoader.Load256(ref Unsafe.AddByteOffset(ref four, 3 * step)), Lanes.Load256(ref x, k + 24), sum);
        }

        for (; k + 8 <= count; k += 8)
        {
            nuint offset = k * (nuint)TLoader.ElementBytes;
            sum = Vector256.FusedMultiplyAdd(TLoader.Load256(ref Unsafe.AddByteOffset(ref w, offset)), Lanes.Load256(ref x, k), sum);
        }

        return Tail<TLoader>(Lanes.Sum(sum), ref w, k, count, ref x);
    }

    private static void Rows4Tokens2<TLoader>(ref byte w, nuint rowBytes, int columns, ref float x, ref float y, int stride)
        where TLoader : struct, IFloatLoader
    {
        nuint count = (nuint)columns;
        ref byte w1 = ref Unsafe.AddByteOffset(ref w, rowBytes);
        ref byte w2 = ref Unsafe.AddByteOffset(ref w, 2 * rowBytes);
        ref byte w3 = ref Unsafe.AddByteOffset(ref w, 3 * rowBytes);
        ref float x1 = ref Unsafe.Add(ref x, count);
        Vector256<float> sum00 = Vector256<float>.Zero, sum01 = Vector256<float>.Zero;
        Vector256<float> sum10 = Vector256<float>.Zero, sum11 = Vector256<float>.Zero;
        Vector256<float> sum20 = Vector256<float>.Zero, sum21 = Vector256<float>.Zero;
        Vector256<float> sum30 = Vector256<float>.Zero, sum31 = Vector256<float>.Zero;
        nuint k = 0;
        for (; k + 8 <= count; k += 8)
        {
            nuint offset = k * (nuint)TLoader.ElementBytes;
            Vector256<float> a0 = TLoader.Load256(ref Unsafe.AddByteOffset(ref w, offset));
            Vector256<float> a1 = TLoader.Load256(ref Unsafe.AddByteOffset(ref w1, offset));
            Vector256<float> a2 = TLoader.Load256(ref Unsafe.AddByteOffset(ref w2, offset));
            Vector256<float> a3 = TLoader.Load256(ref Unsafe.AddByteOffset(ref w3, offset));
            Vector256<float> b0 = Lanes.Load256(ref x, k);
            sum00 = Vector256.FusedMultiplyAdd(a0, b0, sum00);
            sum10 = Vector256.FusedMultiplyAdd(a1, b0, sum10);
            sum20 = Vector256.FusedMultiplyAdd(a2, b0, sum20);
            sum30 = Vector256.FusedMultiplyAdd(a3, b0, sum30);
            Vector256<float> b1 = Lanes.Load256(ref x1, k);
            sum01 = Vector256.FusedMultiplyAdd(a0, b1, sum01);
            sum11 = Vector256.FusedMultiplyAdd(a1, b1, sum11);
            sum21 = Vector256.FusedMultiplyAdd(a2, b1, sum21);
            sum31 = Vector256.FusedMultiplyAdd(a3, b1, sum31);
        }

        float total00 = Lanes.Sum(sum00);
        float total10 = Lanes.Sum(sum10);
        float total20 = Lanes.Sum(sum20);
        float total30 = Lanes.Sum(sum30);
        float total01 = Lanes.Sum(sum01);
        float total11 = Lanes.Sum(sum11);
        float total21 = Lanes.Sum(sum21);
        float total31 = Lanes.Sum(sum31);
        y = Tail<TLoader>(total00, ref w, k, count, ref x);
        Unsafe.Add(ref y, 1) = Tail<TLoader>(total10, ref w1, k, count, ref x);
        Unsafe.Add(ref y, 2) = Tail<TLoader>(total20, ref w2, k, count, ref x);
        Unsafe.Add(ref y, 3) = Tail<TLoader>(total30, ref w3, k, count, ref x);
        ref float y1 = ref Unsafe.Add(ref y, (nuint)stride);
        y1 = Tail<TLoader>(total01, ref w, k, count, ref x1);
        Unsafe.Add(ref y1, 1) = Tail<TLoader>(total11, ref w1, k, count, ref x1);
        Unsafe.Add(ref y1, 2) = Tail<TLoader>(total21, ref w2, k, count, ref x1);
        Unsafe.Add(ref y1, 3) = Tail<TLoader>(total31, ref w3, k, count, ref x1);
    }
}
