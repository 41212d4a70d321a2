using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Limits;

/// <summary>
/// The speed of fused multiply-adds in f32 with all threads of a pool: the inner kernel of a matrix product over data that stays in the caches
/// nearest to the core. It is the roof of the f32 products of a prompt; products in integers may pass it.
/// </summary>
internal sealed class FmaPeak : ParallelJob, IDisposable
{
    // One product: [Rows, Depth] times [Depth, columns of the tier].
    private const int Depth = 256;
    private const int Rows = 6;
    private const int Columns512 = 64;
    private const int Columns256 = 16;
    private const int ColumnsScalar = 8;

    private const int Rounds = 5;
    private const double RoundSeconds = 0.05;

    // The runtime compiles hot code anew after some 100 ms; it must have done so before the first round that counts.
    private const double WarmUpSeconds = 0.5;

    private readonly Lock _gate = new();
    private readonly WorkerPool _pool;
    private readonly IsaTier _tier;
    private readonly AlignedBuffer _left = AlignedBuffer.AllocateFloats(Depth * Rows);
    private readonly AlignedBuffer _right = AlignedBuffer.AllocateFloats(Depth * Columns512);
    private double _sum;
    private int _products;

    /// <summary>Fills the data.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="tier">The instruction set.</param>
    public FmaPeak(WorkerPool pool, IsaTier tier)
    {
        _pool = pool;
        _tier = tier;
        // Ordinary numbers: zeros, subnormals and infinities may run at another speed.
        _left.Floats(0, Depth * Rows).Fill(0.5f);
        _right.Floats(0, Depth * Columns512).Fill(0.25f);
    }

    /// <summary>Operations of one product: a multiplication and an addition for each element of both sides.</summary>
    public long OperationsPerProduct => 2L * Depth * Rows * Columns;

    /// <summary>Depends on every product, so that none can be left out; a product's elements add up to <c>Depth · Rows · columns / 8</c>.</summary>
    public double Sum
    {
        get
        {
            lock (_gate)
            {
                return _sum;
            }
        }
    }

    private int Columns => _tier switch
    {
        IsaTier.Avx512 => Columns512,
        IsaTier.Avx2 => Columns256,
        _ => ColumnsScalar,
    };

    /// <summary>Computes a number of products.</summary>
    /// <param name="products">How many, 1 or more.</param>
    /// <param name="cancellationToken">Checked before each thread's next part.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Multiply(int products, CancellationToken cancellationToken = default) => _pool.Run(this, products, 1, cancellationToken);

    /// <summary>The best of five rounds of some 50 ms, in 10^9 operations per second.</summary>
    /// <param name="cancellationToken">Checked before each thread's next part.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public double Best(CancellationToken cancellationToken = default)
    {
        if (_products == 0)
        {
            WarmUp(cancellationToken);
        }

        double best = 0;
        for (int round = 0; round < Rounds; round++)
        {
            best = Math.Max(best, OperationsPerProduct * _products / 1e9 / Seconds(_products, cancellationToken));
        }

        return best;
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        ref float left = ref MemoryMarshal.GetReference(_left.Floats(0, Depth * Rows));
        ref float right = ref MemoryMarshal.GetReference(_right.Floats(0, Depth * Columns512));
        double sum = 0;
        for (int product = start; product < end; product++)
        {
            sum += _tier switch
            {
                IsaTier.Avx512 => Multiply512(ref left, ref right),
                IsaTier.Avx2 => Multiply256(ref left, ref right),
                _ => MultiplyScalar(ref left, ref right),
            };
        }

        lock (_gate)
        {
            _sum += sum;
        }
    }

    /// <summary>Frees the data.</summary>
    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
    }

    private double Seconds(int products, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        Multiply(products, cancellationToken);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private void WarmUp(CancellationToken cancellationToken)
    {
        int products = 64;
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < WarmUpSeconds;)
        {
            double seconds = Math.Max(Seconds(products, cancellationToken), 1e-6);
            products = (int)Math.Clamp(products * RoundSeconds / seconds, 64, 1 << 24);
        }

        _products = products;
    }

    // Bounds of all three: Depth steps of Rows elements on the left, of the tier's columns on the right. Each row of the result lies in vectors
    // of its own: 24 of 512 bits and 12 of 256 bits, which with the loaded ones fit the 32 and 16 registers. Every accumulator is a local of
    // its own, because the JIT keeps no array in registers.
    private static float Multiply512(ref float a, ref float b)
    {
        Vector512<float> c00 = default, c01 = default, c02 = default, c03 = default;
        Vector512<float> c10 = default, c11 = default, c12 = default, c13 = default;
        Vector512<float> c20 = default, c21 = default, c22 = default, c23 = default;
        Vector512<float> c30 = default, c31 = default, c32 = default, c33 = default;
        Vector512<float> c40 = default, c41 = default, c42 = default, c43 = default;
        Vector512<float> c50 = default, c51 = default, c52 = default, c53 = default;
        for (nuint k = 0; k < Depth; k++)
        {
            ref float row = ref Unsafe.Add(ref b, k * 64);
            ref float column = ref Unsafe.Add(ref a, k * 6);
            Vector512<float> b0 = Vector512.LoadUnsafe(ref row);
            Vector512<float> b1 = Vector512.LoadUnsafe(ref row, 16);
            Vector512<float> b2 = Vector512.LoadUnsafe(ref row, 32);
            Vector512<float> b3 = Vector512.LoadUnsafe(ref row, 48);
            Vector512<float> a0 = Vector512.Create(column);
            c00 = Vector512.FusedMultiplyAdd(a0, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(a0, b1, c01);
            c02 = Vector512.FusedMultiplyAdd(a0, b2, c02);
            c03 = Vector512.FusedMultiplyAdd(a0, b3, c03);
            Vector512<float> a1 = Vector512.Create(Unsafe.Add(ref column, 1));
            c10 = Vector512.FusedMultiplyAdd(a1, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(a1, b1, c11);
            c12 = Vector512.FusedMultiplyAdd(a1, b2, c12);
            c13 = Vector512.FusedMultiplyAdd(a1, b3, c13);
            Vector512<float> a2 = Vector512.Create(Unsafe.Add(ref column, 2));
            c20 = Vector512.FusedMultiplyAdd(a2, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(a2, b1, c21);
            c22 = Vector512.FusedMultiplyAdd(a2, b2, c22);
            c23 = Vector512.FusedMultiplyAdd(a2, b3, c23);
            Vector512<float> a3 = Vector512.Create(Unsafe.Add(ref column, 3));
            c30 = Vector512.FusedMultiplyAdd(a3, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(a3, b1, c31);
            c32 = Vector512.FusedMultiplyAdd(a3, b2, c32);
            c33 = Vector512.FusedMultiplyAdd(a3, b3, c33);
            Vector512<float> a4 = Vector512.Create(Unsafe.Add(ref column, 4));
            c40 = Vector512.FusedMultiplyAdd(a4, b0, c40);
            c41 = Vector512.FusedMultiplyAdd(a4, b1, c41);
            c42 = Vector512.FusedMultiplyAdd(a4, b2, c42);
            c43 = Vector512.FusedMultiplyAdd(a4, b3, c43);
            Vector512<float> a5 = Vector512.Create(Unsafe.Add(ref column, 5));
            c50 = Vector512.FusedMultiplyAdd(a5, b0, c50);
            c51 = Vector512.FusedMultiplyAdd(a5, b1, c51);
            c52 = Vector512.FusedMultiplyAdd(a5, b2, c52);
            c53 = Vector512.FusedMultiplyAdd(a5, b3, c53);
        }

        c00 += c10;
        c01 += c11;
        c02 += c12;
        c03 += c13;
        c00 += c20;
        c01 += c21;
        c02 += c22;
        c03 += c23;
        c00 += c30;
        c01 += c31;
        c02 += c32;
        c03 += c33;
        c00 += c40;
        c01 += c41;
        c02 += c42;
        c03 += c43;
        c00 += c50;
        c01 += c51;
        c02 += c52;
        c03 += c53;

        return Vector512.Sum(c00 + c01 + c02 + c03);
    }

    private static float Multiply256(ref float a, ref float b)
    {
        Vector256<float> c00 = default, c01 = default;
        Vector256<float> c10 = default, c11 = default;
        Vector256<float> c20 = default, c21 = default;
        Vector256<float> c30 = default, c31 = default;
        Vector256<float> c40 = default, c41 = default;
        Vector256<float> c50 = default, c51 = default;
        for (nuint k = 0; k < Depth; k++)
        {
            ref float row = ref Unsafe.Add(ref b, k * 16);
            ref float column = ref Unsafe.Add(ref a, k * 6);
            Vector256<float> b0 = Vector256.LoadUnsafe(ref row);
            Vector256<float> b1 = Vector256.LoadUnsafe(ref row, 8);
            Vector256<float> a0 = Vector256.Create(column);
            c00 = Vector256.FusedMultiplyAdd(a0, b0, c00);
            c01 = Vector256.FusedMultiplyAdd(a0, b1, c01);
            Vector256<float> a1 = Vector256.Create(Unsafe.Add(ref column, 1));
            c10 = Vector256.FusedMultiplyAdd(a1, b0, c10);
            c11 = Vector256.FusedMultiplyAdd(a1, b1, c11);
            Vector256<float> a2 = Vector256.Create(Unsafe.Add(ref column, 2));
            c20 = Vector256.FusedMultiplyAdd(a2, b0, c20);
            c21 = Vector256.FusedMultiplyAdd(a2, b1, c21);
            Vector256<float> a3 = Vector256.Create(Unsafe.Add(ref column, 3));
            c30 = Vector256.FusedMultiplyAdd(a3, b0, c30);
            c31 = Vector256.FusedMultiplyAdd(a3, b1, c31);
            Vector256<float> a4 = Vector256.Create(Unsafe.Add(ref column, 4));
            c40 = Vector256.FusedMultiplyAdd(a4, b0, c40);
            c41 = Vector256.FusedMultiplyAdd(a4, b1, c41);
            Vector256<float> a5 = Vector256.Create(Unsafe.Add(ref column, 5));
            c50 = Vector256.FusedMultiplyAdd(a5, b0, c50);
            c51 = Vector256.FusedMultiplyAdd(a5, b1, c51);
        }

        c00 += c10;
        c01 += c11;
        c00 += c20;
        c01 += c21;
        c00 += c30;
        c01 += c31;
        c00 += c40;
        c01 += c41;
        c00 += c50;
        c01 += c51;

        return Vector256.Sum(c00 + c01);
    }

    // Not fused: without the instruction a fused operation is a call.
    private static float MultiplyScalar(ref float a, ref float b)
    {
        float sum = 0;
        for (nuint row = 0; row < Rows; row++)
        {
            float c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0, c5 = 0, c6 = 0, c7 = 0;
            for (nuint k = 0; k < Depth; k++)
            {
                float factor = Unsafe.Add(ref a, (k * Rows) + row);
                ref float right = ref Unsafe.Add(ref b, k * ColumnsScalar);
                c0 += factor * right;
                c1 += factor * Unsafe.Add(ref right, 1);
                c2 += factor * Unsafe.Add(ref right, 2);
                c3 += factor * Unsafe.Add(ref right, 3);
                c4 += factor * Unsafe.Add(ref right, 4);
                c5 += factor * Unsafe.Add(ref right, 5);
                c6 += factor * Unsafe.Add(ref right, 6);
                c7 += factor * Unsafe.Add(ref right, 7);
            }

            sum += c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7;
        }

        return sum;
    }
}
