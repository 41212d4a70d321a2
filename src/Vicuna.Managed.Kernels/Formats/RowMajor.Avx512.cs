using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The tiles in 512-bit vectors: 16 columns to a vector. The widest tile keeps 16 accumulators, 4 rows of W and 1 row of X: 21 of the 32 registers.
/// Bounds: the caller has checked that rows · columns elements of W and tokens · columns elements of X exist; the vector loops stop at the
/// last whole vector (k + 16 is at most the column count), <see cref="Tail"/> takes the rest.
/// </summary>
internal static partial class RowMajor
{
    private static float Dot512<TLoader>(ref byte w, int columns, ref float x)
        where TLoader : struct, IFloatLoader
    {
        nuint count = (nuint)columns;
        Vector512<float> sum = Vector512<float>.Zero;
        nuint k = 0;
        nuint step = 16 * (nuint)TLoader.ElementBytes;
        // Four vectors a turn, into the one accumulator: the order of the sum stays, the loop's own instructions are a quarter.
        for (; k + 64 <= count; k += 64)
        {
            ref byte four = ref Unsafe.AddByteOffset(ref w, k * (nuint)TLoader.ElementBytes);
            sum = Vector512.FusedMultiplyAdd(TLoader.Load512(ref four), Lanes.Load512(ref x, k), sum);
            sum = Vector512.FusedMultiplyAdd(TLoader.Load512(ref Unsafe.AddByteOffset(ref four, step)), Lanes.Load512(ref x, k + 16), sum);
            sum = Vector512.FusedMultiplyAdd(TLoader.Load512(ref Unsafe.AddByteOffset(ref four, 2 * step)), Lanes.Load512(ref x, k + 32), sum);
            sum = Vector512.FusedMultiplyAdd(TLoader.Load512(ref Unsafe.AddByteOffset(ref four, 3 * step)), Lanes.Load512(ref x, k + 48), sum);
        }

        for (; k + 16 <= count; k += 16)
        {
            nuint offset = k * (nuint)TLoader.ElementBytes;
            sum = Vector512.FusedMultiplyAdd(TLoader.Load512(ref Unsafe.AddByteOffset(ref w, offset)), Lanes.Load512(ref x, k), sum);
        }

        return Tail<TLoader>(Lanes.Sum(sum), ref w, k, count, ref x);
    }

    private static void Rows4Tokens4<TLoader>(ref byte w, nuint rowBytes, int columns, ref float x, ref float y, int stride)
        where TLoader : struct, IFloatLoader
    {
        nuint count = (nuint)columns;
        ref byte w1 = ref Unsafe.AddByteOffset(ref w, rowBytes);
        ref byte w2 = ref Unsafe.AddByteOffset(ref w, 2 * rowBytes);
        ref byte w3 = ref Unsafe.AddByteOffset(ref w, 3 * rowBytes);
        ref float x1 = ref Unsafe.Add(ref x, count);
        ref float x2 = ref Unsafe.Add(ref x, 2 * count);
        ref float x3 = ref Unsafe.Add(ref x, 3 * count);
        Vector512<float> sum00 = Vector512<float>.Zero, sum01 = Vector512<float>.Zero, sum02 = Vector512<float>.Zero, sum03 = Vector512<float>.Zero;
        Vector512<float> sum10 = Vector512<float>.Zero, sum11 = Vector512<float>.Zero, sum12 = Vector512<float>.Zero, sum13 = Vector512<float>.Zero;
        Vector512<float> sum20 = Vector512<float>.Zero, sum21 = Vector512<float>.Zero, sum22 = Vector512<float>.Zero, sum23 = Vector512<float>.Zero;
        Vector512<float> sum30 = Vector512<float>.Zero, sum31 = Vector512<float>.Zero, sum32 = Vector512<float>.Zero, sum33 = Vector512<float>.Zero;
        nuint k = 0;
        for (; k + 16 <= count; k += 16)
        {
            nuint offset = k * (nuint)TLoader.ElementBytes;
            Vector512<float> a0 = TLoader.Load512(ref Unsafe.AddByteOffset(ref w, offset));
            Vector512<float> a1 = TLoader.Load512(ref Unsafe.AddByteOffset(ref w1, offset));
            Vector512<float> a2 = TLoader.Load512(ref Unsafe.AddByteOffset(ref w2, offset));
            Vector512<float> a3 = TLoader.Load512(ref Unsafe.AddByteOffset(ref w3, offset));
            Vector512<float> b0 = Lanes.Load512(ref x, k);
            sum00 = Vector512.FusedMultiplyAdd(a0, b0, sum00);
            sum10 = Vector512.FusedMultiplyAdd(a1, b0, sum10);
            sum20 = Vector512.FusedMultiplyAdd(a2, b0, sum20);
            sum30 = Vector512.FusedMultiplyAdd(a3, b0, sum30);
            Vector512<float> b1 = Lanes.Load512(ref x1, k);
            sum01 = Vector512.FusedMultiplyAdd(a0, b1, sum01);
            sum11 = Vector512.FusedMultiplyAdd(a1, b1, sum11);
            sum21 = Vector512.FusedMultiplyAdd(a2, b1, sum21);
            sum31 = Vector512.FusedMultiplyAdd(a3, b1, sum31);
            Vector512<float> b2 = Lanes.Load512(ref x2, k);
            sum02 = Vector512.FusedMultiplyAdd(a0, b2, sum02);
            sum12 = Vector512.FusedMultiplyAdd(a1, b2, sum12);
            sum22 = Vector512.FusedMultiplyAdd(a2, b2, sum22);
            sum32 = Vector512.FusedMultiplyAdd(a3, b2, sum32);
            Vector512<float> b3 = Lanes.Load512(ref x3, k);
            sum03 = Vector512.FusedMultiplyAdd(a0, b3, sum03);
            sum13 = Vector512.FusedMultiplyAdd(a1, b3, sum13);
            sum23 = Vector512.FusedMultiplyAdd(a2, b3, sum23);
            sum33 = Vector512.FusedMultiplyAdd(a3, b3, sum33);
        }

        float total00 = Lanes.Sum(sum00);
        float total10 = Lanes.Sum(sum10);
        float total20 = Lanes.Sum(sum20);
        float total30 = Lanes.Sum(sum30);
        float total01 = Lanes.Sum(sum01);
        float total11 = Lanes.Sum(sum11);
        float total21 = Lanes.Sum(sum21);
        float total31 = Lanes.Sum(sum31);
        float total02 = Lanes.Sum(sum02);
        float total12 = Lanes.Sum(sum12);
        float total22 = Lanes.Sum(sum22);
        float total32 = Lanes.Sum(sum32);
        float total03 = Lanes.Sum(sum03);
        float total13 = Lanes.Sum(sum13);
        float total23 = Lanes.Sum(sum23);
        float total33 = Lanes.Sum(sum33);
        y = Tail<TLoader>(total00, ref w, k, count, ref x);
        Unsafe.Add(ref y, 1) = Tail<TLoader>(total10, ref w1, k, count, ref x);
        Unsafe.Add(ref y, 2) = Tail<TLoader>(total20, ref w2, k, count, ref x);
        Unsafe.Add(ref y, 3) = Tail<TLoader>(total30, ref w3, k, count, ref x);
        ref float y1 = ref Unsafe.Add(ref y, (nuint)stride);
        y1 = Tail<TLoader>(total01, ref w, k, count, ref x1);
        Unsafe.Add(ref y1, 1) = Tail<TLoader>(total11, ref w1, k, count, ref x1);
        Unsafe.Add(ref y1, 2) = Tail<TLoader>(total21, ref w2, k, count, ref x1);
        Unsafe.Add(ref y1, 3) = Tail<TLoader>(total31, ref w3, k, count, ref x1);
        ref float y2 = ref Unsafe.Add(ref y, 2 * (nuint)stride);
        y2 = Tail<TLoader>(total02, ref w, k, count, ref x2);
        Unsafe.Add(ref y2, 1) = Tail<TLoader>(total12, ref w1, k, count, ref x2);
        Unsafe.Add(ref y2, 2) = Tail<TLoader>(total22, ref w2, k, count, ref x2);
        Unsafe.Add(ref y2, 3) = Tail<TLoader>(total32, ref w3, k, count, ref x2);
        ref float y3 = ref Unsafe.Add(ref y, 3 * (nuint)stride);
        y3 = Tail<TLoader>(total03, ref w, k, count, ref x3);
        Unsafe.Add(ref y3, 1) = Tail<TLoader>(total13, ref w1, k, count, ref x3);
        Unsafe.Add(ref y3, 2) = Tail<TLoader>(total23, ref w2, k, count, ref x3);
        Unsafe.Add(ref y3, 3) = Tail<TLoader>(total33, ref w3, k, count, ref x3);
    }
}
