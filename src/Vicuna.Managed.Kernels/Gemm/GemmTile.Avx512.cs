using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Formats;

namespace Vicuna.Managed.Kernels.Gemm;

/// <content>512-bit vectors: 24 accumulators of 12 rows, two vectors of B and a broadcast element of A, 27 of 32 registers.</content>
internal static partial class GemmTile
{
    // Lane i of a row's two accumulators is column i and column 16 + i. The callers' spans hold depth steps of 12 and of 32 elements and 12 rows of C.
    // Named locals, because an array of accumulators would live on the stack.
    private static void Multiply512(ref float a, ref float b, int depth, ref float c, nuint stride, bool add)
    {
        Vector512<float> s0a = Vector512<float>.Zero;
        Vector512<float> s0b = Vector512<float>.Zero;
        Vector512<float> s1a = Vector512<float>.Zero;
        Vector512<float> s1b = Vector512<float>.Zero;
        Vector512<float> s2a = Vector512<float>.Zero;
        Vector512<float> s2b = Vector512<float>.Zero;
        Vector512<float> s3a = Vector512<float>.Zero;
        Vector512<float> s3b = Vector512<float>.Zero;
        Vector512<float> s4a = Vector512<float>.Zero;
        Vector512<float> s4b = Vector512<float>.Zero;
        Vector512<float> s5a = Vector512<float>.Zero;
        Vector512<float> s5b = Vector512<float>.Zero;
        Vector512<float> s6a = Vector512<float>.Zero;
        Vector512<float> s6b = Vector512<float>.Zero;
        Vector512<float> s7a = Vector512<float>.Zero;
        Vector512<float> s7b = Vector512<float>.Zero;
        Vector512<float> s8a = Vector512<float>.Zero;
        Vector512<float> s8b = Vector512<float>.Zero;
        Vector512<float> s9a = Vector512<float>.Zero;
        Vector512<float> s9b = Vector512<float>.Zero;
        Vector512<float> s10a = Vector512<float>.Zero;
        Vector512<float> s10b = Vector512<float>.Zero;
        Vector512<float> s11a = Vector512<float>.Zero;
        Vector512<float> s11b = Vector512<float>.Zero;
        if (add)
        {
            s0a = Lanes.Load512(ref c, 0);
            s0b = Lanes.Load512(ref c, 16);
            s1a = Lanes.Load512(ref c, stride);
            s1b = Lanes.Load512(ref c, stride + 16);
            s2a = Lanes.Load512(ref c, 2 * stride);
            s2b = Lanes.Load512(ref c, (2 * stride) + 16);
            s3a = Lanes.Load512(ref c, 3 * stride);
            s3b = Lanes.Load512(ref c, (3 * stride) + 16);
            s4a = Lanes.Load512(ref c, 4 * stride);
            s4b = Lanes.Load512(ref c, (4 * stride) + 16);
            s5a = Lanes.Load512(ref c, 5 * stride);
            s5b = Lanes.Load512(ref c, (5 * stride) + 16);
            s6a = Lanes.Load512(ref c, 6 * stride);
            s6b = Lanes.Load512(ref c, (6 * stride) + 16);
            s7a = Lanes.Load512(ref c, 7 * stride);
            s7b = Lanes.Load512(ref c, (7 * stride) + 16);
            s8a = Lanes.Load512(ref c, 8 * stride);
            s8b = Lanes.Load512(ref c, (8 * stride) + 16);
            s9a = Lanes.Load512(ref c, 9 * stride);
            s9b = Lanes.Load512(ref c, (9 * stride) + 16);
            s10a = Lanes.Load512(ref c, 10 * stride);
            s10b = Lanes.Load512(ref c, (10 * stride) + 16);
            s11a = Lanes.Load512(ref c, 11 * stride);
            s11b = Lanes.Load512(ref c, (11 * stride) + 16);
        }

        for (int k = 0; k < depth; k++)
        {
            Vector512<float> b0 = Lanes.Load512(ref b);
            Vector512<float> b1 = Lanes.Load512(ref b, 16);
            Vector512<float> a0 = Vector512.Create(a);
            s0a = Vector512.FusedMultiplyAdd(a0, b0, s0a);
            s0b = Vector512.FusedMultiplyAdd(a0, b1, s0b);
            Vector512<float> a1 = Vector512.Create(Unsafe.Add(ref a, 1));
            s1a = Vector512.FusedMultiplyAdd(a1, b0, s1a);
            s1b = Vector512.FusedMultiplyAdd(a1, b1, s1b);
            Vector512<float> a2 = Vector512.Create(Unsafe.Add(ref a, 2));
            s2a = Vector512.FusedMultiplyAdd(a2, b0, s2a);
            s2b = Vector512.FusedMultiplyAdd(a2, b1, s2b);
            Vector512<float> a3 = Vector512.Create(Unsafe.Add(ref a, 3));
            s3a = Vector512.FusedMultiplyAdd(a3, b0, s3a);
            s3b = Vector512.FusedMultiplyAdd(a3, b1, s3b);
            Vector512<float> a4 = Vector512.Create(Unsafe.Add(ref a, 4));
            s4a = Vector512.FusedMultiplyAdd(a4, b0, s4a);
            s4b = Vector512.FusedMultiplyAdd(a4, b1, s4b);
            Vector512<float> a5 = Vector512.Create(Unsafe.Add(ref a, 5));
            s5a = Vector512.FusedMultiplyAdd(a5, b0, s5a);
            s5b = Vector512.FusedMultiplyAdd(a5, b1, s5b);
            Vector512<float> a6 = Vector512.Create(Unsafe.Add(ref a, 6));
            s6a = Vector512.FusedMultiplyAdd(a6, b0, s6a);
            s6b = Vector512.FusedMultiplyAdd(a6, b1, s6b);
            Vector512<float> a7 = Vector512.Create(Unsafe.Add(ref a, 7));
            s7a = Vector512.FusedMultiplyAdd(a7, b0, s7a);
            s7b = Vector512.FusedMultiplyAdd(a7, b1, s7b);
            Vector512<float> a8 = Vector512.Create(Unsafe.Add(ref a, 8));
            s8a = Vector512.FusedMultiplyAdd(a8, b0, s8a);
            s8b = Vector512.FusedMultiplyAdd(a8, b1, s8b);
            Vector512<float> a9 = Vector512.Create(Unsafe.Add(ref a, 9));
            s9a = Vector512.FusedMultiplyAdd(a9, b0, s9a);
            s9b = Vector512.FusedMultiplyAdd(a9, b1, s9b);
            Vector512<float> a10 = Vector512.Create(Unsafe.Add(ref a, 10));
            s10a = Vector512.FusedMultiplyAdd(a10, b0, s10a);
            s10b = Vector512.FusedMultiplyAdd(a10, b1, s10b);
            Vector512<float> a11 = Vector512.Create(Unsafe.Add(ref a, 11));
            s11a = Vector512.FusedMultiplyAdd(a11, b0, s11a);
            s11b = Vector512.FusedMultiplyAdd(a11, b1, s11b);
            a = ref Unsafe.Add(ref a, Rows);
            b = ref Unsafe.Add(ref b, Columns);
        }

        Lanes.Store(s0a, ref c, 0);
        Lanes.Store(s0b, ref c, 16);
        Lanes.Store(s1a, ref c, stride);
        Lanes.Store(s1b, ref c, stride + 16);
        Lanes.Store(s2a, ref c, 2 * stride);
        Lanes.Store(s2b, ref c, (2 * stride) + 16);
        Lanes.Store(s3a, ref c, 3 * stride);
        Lanes.Store(s3b, ref c, (3 * stride) + 16);
        Lanes.Store(s4a, ref c, 4 * stride);
        Lanes.Store(s4b, ref c, (4 * stride) + 16);
        Lanes.Store(s5a, ref c, 5 * stride);
        Lanes.Store(s5b, ref c, (5 * stride) + 16);
        Lanes.Store(s6a, ref c, 6 * stride);
        Lanes.Store(s6b, ref c, (6 * stride) + 16);
        Lanes.Store(s7a, ref c, 7 * stride);
        Lanes.Store(s7b, ref c, (7 * stride) + 16);
        Lanes.Store(s8a, ref c, 8 * stride);
        Lanes.Store(s8b, ref c, (8 * stride) + 16);
        Lanes.Store(s9a, ref c, 9 * stride);
        Lanes.Store(s9b, ref c, (9 * stride) + 16);
        Lanes.Store(s10a, ref c, 10 * stride);
        Lanes.Store(s10b, ref c, (10 * stride) + 16);
        Lanes.Store(s11a, ref c, 11 * stride);
        Lanes.Store(s11b, ref c, (11 * stride) + 16);
    }
}
