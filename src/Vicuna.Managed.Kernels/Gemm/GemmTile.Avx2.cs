using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Formats;

namespace Vicuna.Managed.Kernels.Gemm;

/// <content>256-bit vectors: 6 rows by 16 columns at a time, 12 accumulators of 16 registers.</content>
internal static partial class GemmTile
{
    private static void Multiply256(ref float a, ref float b, int depth, ref float c, nuint stride, bool add)
    {
        for (nuint row = 0; row < Rows; row += 6)
        {
            for (nuint column = 0; column < Columns; column += 16)
            {
                Multiply256Part(ref Unsafe.Add(ref a, row), ref Unsafe.Add(ref b, column), depth, ref Unsafe.Add(ref c, (row * stride) + column), stride, add);
            }
        }
    }

    // As the wider form. The last step reads to the end of the packed panels: row + 6 and column + 16 are at most their widths.
    private static void Multiply256Part(ref float a, ref float b, int depth, ref float c, nuint stride, bool add)
    {
        Vector256<float> s0a = Vector256<float>.Zero;
        Vector256<float> s0b = Vector256<float>.Zero;
        Vector256<float> s1a = Vector256<float>.Zero;
        Vector256<float> s1b = Vector256<float>.Zero;
        Vector256<float> s2a = Vector256<float>.Zero;
        Vector256<float> s2b = Vector256<float>.Zero;
        Vector256<float> s3a = Vector256<float>.Zero;
        Vector256<float> s3b = Vector256<float>.Zero;
        Vector256<float> s4a = Vector256<float>.Zero;
        Vector256<float> s4b = Vector256<float>.Zero;
        Vector256<float> s5a = Vector256<float>.Zero;
        Vector256<float> s5b = Vector256<float>.Zero;
        if (add)
        {
            s0a = Lanes.Load256(ref c, 0);
            s0b = Lanes.Load256(ref c, 8);
            s1a = Lanes.Load256(ref c, stride);
            s1b = Lanes.Load256(ref c, stride + 8);
            s2a = Lanes.Load256(ref c, 2 * stride);
            s2b = Lanes.Load256(ref c, (2 * stride) + 8);
            s3a = Lanes.Load256(ref c, 3 * stride);
            s3b = Lanes.Load256(ref c, (3 * stride) + 8);
            s4a = Lanes.Load256(ref c, 4 * stride);
            s4b = Lanes.Load256(ref c, (4 * stride) + 8);
            s5a = Lanes.Load256(ref c, 5 * stride);
            s5b = Lanes.Load256(ref c, (5 * stride) + 8);
        }

        for (int k = 0; k < depth; k++)
        {
            Vector256<float> b0 = Lanes.Load256(ref b);
            Vector256<float> b1 = Lanes.Load256(ref b, 8);
            Vector256<float> a0 = Vector256.Create(a);
            s0a = Vector256.FusedMultiplyAdd(a0, b0, s0a);
            s0b = Vector256.FusedMultiplyAdd(a0, b1, s0b);
            Vector256<float> a1 = Vector256.Create(Unsafe.Add(ref a, 1));
            s1a = Vector256.FusedMultiplyAdd(a1, b0, s1a);
            s1b = Vector256.FusedMultiplyAdd(a1, b1, s1b);
            Vector256<float> a2 = Vector256.Create(Unsafe.Add(ref a, 2));
            s2a = Vector256.FusedMultiplyAdd(a2, b0, s2a);
            s2b = Vector256.FusedMultiplyAdd(a2, b1, s2b);
            Vector256<float> a3 = Vector256.Create(Unsafe.Add(ref a, 3));
            s3a = Vector256.FusedMultiplyAdd(a3, b0, s3a);
            s3b = Vector256.FusedMultiplyAdd(a3, b1, s3b);
            Vector256<float> a4 = Vector256.Create(Unsafe.Add(ref a, 4));
            s4a = Vector256.FusedMultiplyAdd(a4, b0, s4a);
            s4b = Vector256.FusedMultiplyAdd(a4, b1, s4b);
            Vector256<float> a5 = Vector256.Create(Unsafe.Add(ref a, 5));
            s5a = Vector256.FusedMultiplyAdd(a5, b0, s5a);
            s5b = Vector256.FusedMultiplyAdd(a5, b1, s5b);
            a = ref Unsafe.Add(ref a, Rows);
            b = ref Unsafe.Add(ref b, Columns);
        }

        Lanes.Store(s0a, ref c, 0);
        Lanes.Store(s0b, ref c, 8);
        Lanes.Store(s1a, ref c, stride);
        Lanes.Store(s1b, ref c, stride + 8);
        Lanes.Store(s2a, ref c, 2 * stride);
        Lanes.Store(s2b, ref c, (2 * stride) + 8);
        Lanes.Store(s3a, ref c, 3 * stride);
        Lanes.Store(s3b, ref c, (3 * stride) + 8);
        Lanes.Store(s4a, ref c, 4 * stride);
        Lanes.Store(s4b, ref c, (4 * stride) + 8);
        Lanes.Store(s5a, ref c, 5 * stride);
        Lanes.Store(s5b, ref c, (5 * stride) + 8);
    }
}
