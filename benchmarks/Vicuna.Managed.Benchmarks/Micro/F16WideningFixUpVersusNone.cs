using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Avx512F = System.Runtime.Intrinsics.X86.Avx512F;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Running;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Benchmarks.Micro;

/// <summary>
/// What the fix-up of infinities and NaNs costs when halves are widened (see <see cref="F16"/>): the product of one token as it is, and with a
/// loader that leaves the fix-up out, so that an infinite weight would count as 65536 and more. One thread.
/// </summary>
/// <remarks>
/// Verdict (AMD EPYC with AVX-512, 2 processors shared with other work, so take the ratios as rough; .NET 10): without the fix-up a product in the
/// first-level cache takes 0.67 of the time (2.02 and 1.35 µs), one that streams from memory on a single thread 0.75 (11.5 and 15.5 GB/s). Without
/// it an infinite weight would silently be a finite one, so it stays for matrices that hold one; the others, which is found out when they are first
/// used, are computed with <see cref="F16Finite"/>.
/// </remarks>
[Config(typeof(Columns))]
public class F16WideningFixUpVersusNone
{
    private const int Width = 4096;
    private const int RowBytes = Width * sizeof(ushort);

    private AlignedBuffer _weights = null!;
    private float[] _activations = null!;
    private float[] _destination = null!;

    /// <summary>Rows of 8 KB: 4 stay in the first-level cache, 32768 are 256 MB.</summary>
    [Params(4, 32768)]
    public int Rows { get; set; }

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
    public float FixUp() => Run<F16>();

    [Benchmark]
    public float None() => Run<NoFixUp>();

    private float Run<TLoader>()
        where TLoader : struct, IFloatLoader
    {
        RowMajor.Multiply<TLoader, Avx512>(_weights.Region.Bytes(0, (int)_weights.Length), Rows, Width, _activations, 1, _destination, Rows, []);
        return _destination[0];
    }

    private readonly struct NoFixUp : IFloatLoader
    {
        private const int SignExponentMantissa = unchecked((int)0x8FFFE000);
        private const float BiasCorrection = 5.192296858534828e33f; // 2^112

        public static int ElementBytes => sizeof(ushort);

        public static float LoadScalar(ref readonly byte source) => F16.LoadScalar(in source);

        public static Vector256<float> Load256(ref readonly byte source) => F16.Load256(in source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load512(ref readonly byte source)
        {
            Vector256<short> bits = Unsafe.ReadUnaligned<Vector256<short>>(in source);
            Vector512<int> placed = (Avx512F.ConvertToVector512Int32(bits) << 13) & Vector512.Create(SignExponentMantissa);
            return placed.AsSingle() * Vector512.Create(BiasCorrection);
        }
    }

    private sealed class Columns() : Config(
        new RateColumn("GB/s", "Bytes of stored weights per second, in 10^9", static benchmark => (int)benchmark.Parameters[nameof(Rows)] * RowBytes / 1e9));
}
