using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Benchmarks.Micro;

/// <summary>
/// One token times halves that stream from memory: row after row with one accumulator, against four rows side by side. One thread, 256 MB.
/// </summary>
/// <remarks>
/// Verdict (AMD EPYC, Zen 4, 2 processors, quiet hour; GB/s of weights, plain reading 25 to 30 on one thread and 33 on two): four rows 12 to 20 on one
/// thread, 22 to 31 on two; one row 21 to 24 and 30 to 33. Rows of a power of two bytes lie on top of each other in the first-level cache, and four
/// streams of a page each take the prefetcher longer to recognize than one. One accumulator's latency (4 cycles for 32 bytes) is shorter than the
/// memory's, so more accumulators gain nothing, and with one the product of many tokens needs no more registers. Software prefetches lost
/// 10 to 30 %. Kept: one row.
/// </remarks>
public class OneRowVersusFourRows
{
    private const int Width = 4096;
    private const int Rows = 32768;
    private const int RowBytes = Width * sizeof(ushort);

    private AlignedBuffer _weights = null!;
    private float[] _activations = null!;
    private float[] _destination = null!;

    [GlobalSetup]
    public void Setup()
    {
        IsaTiers.Require(IsaTier.Avx512);
        _weights = AlignedBuffer.Allocate((long)Rows * RowBytes);
        _weights.Writable(0, (int)_weights.Length).Fill(0x11);
        _activations = new float[Width];
        _activations.AsSpan().Fill(0.5f);
        _destination = new float[Rows];
    }

    [GlobalCleanup]
    public void Cleanup() => _weights.Dispose();

    [Benchmark(Baseline = true)]
    public float FourRows()
    {
        ref byte w = ref MemoryMarshal.GetReference(_weights.Region.Bytes(0, (int)_weights.Length));
        ref float x = ref MemoryMarshal.GetArrayDataReference(_activations);
        for (int row = 0; row < Rows; row += 4)
        {
            Vector512<float> a = Vector512<float>.Zero, b = a, c = a, d = a;
            for (nuint k = 0; k < Width; k += 16)
            {
                Vector512<float> v = Lanes.Load512(ref x, k);
                a = Vector512.FusedMultiplyAdd(At(ref w, row, k), v, a);
                b = Vector512.FusedMultiplyAdd(At(ref w, row + 1, k), v, b);
                c = Vector512.FusedMultiplyAdd(At(ref w, row + 2, k), v, c);
                d = Vector512.FusedMultiplyAdd(At(ref w, row + 3, k), v, d);
            }

            Lanes.Store(Lanes.Sums(a, b, c, d), ref _destination[row]);
        }

        return _destination[0];
    }

    [Benchmark]
    public float OneRow()
    {
        RowMajor.Multiply<F16Finite, Avx512>(_weights.Region.Bytes(0, (int)_weights.Length), Rows, Width, _activations, 1, _destination, Rows, []);
        return _destination[0];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> At(ref byte w, int row, nuint k) => F16Finite.Load512(ref Unsafe.AddByteOffset(ref w, ((nuint)row * RowBytes) + (k * 2)));
}
