using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Limits;

/// <summary>
/// The speed of reading memory front to back with the widest loads of a tier and all threads of a pool: the roof of everything that streams
/// weights, decoding above all. The buffer is far larger than any cache.
/// </summary>
internal sealed class MemoryRead : ParallelJob, IDisposable
{
    /// <summary>Size of the buffer where memory is plenty: larger than any cache by far.</summary>
    public const long FullBytes = 2L << 30;

    private const int Rounds = 5;
    private const int RunBytes = 1 << 20;

    // Parts of what is free that a measurement may take.
    private const int FreeShare = 4;

    private readonly WorkerPool _pool;
    private readonly IsaTier _tier;
    private readonly AlignedBuffer _buffer;
    private long _sum;

    /// <summary>Allocates and touches the buffer.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="tier">Decides how wide loads are.</param>
    /// <param name="bytes">Size; whole megabytes are read, one at least.</param>
    public MemoryRead(WorkerPool pool, IsaTier tier, long bytes)
    {
        _pool = pool;
        _tier = tier;
        Bytes = Math.Max(bytes / RunBytes, 1) * RunBytes;
        _buffer = AlignedBuffer.Allocate(Bytes);
        for (int run = 0; run < Bytes / RunBytes; run++)
        {
            // Memory that nobody has written to is one page of zeros, which lies in the cache.
            Span<byte> part = _buffer.Writable((long)run * RunBytes, RunBytes);
            part.Clear();
            MemoryMarshal.Write(part, run + 1L);
        }
    }

    /// <summary>Bytes of a round.</summary>
    public long Bytes { get; }

    /// <summary>Depends on every byte that was read, so that no read can be left out: 1 + 2 + ... + megabytes for each round.</summary>
    public long Sum => Interlocked.Read(ref _sum);

    /// <summary><see cref="FullBytes"/>, or a quarter of the memory that is free if that is less.</summary>
    public static long AffordableBytes()
    {
        // The collection is what refreshes the numbers.
        GC.Collect();
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        return Math.Clamp((memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes) / FreeShare, RunBytes, FullBytes);
    }

    /// <summary>Reads the buffer once.</summary>
    /// <param name="cancellationToken">Checked before each thread's next part.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Read(CancellationToken cancellationToken = default) => _pool.Run(this, (int)(Bytes / RunBytes), 1, cancellationToken);

    /// <summary>The best of five rounds, in 10^9 bytes per second.</summary>
    /// <param name="cancellationToken">Checked before each thread's next part.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public double Best(CancellationToken cancellationToken = default)
    {
        double best = 0;
        for (int round = 0; round < Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            Read(cancellationToken);
            best = Math.Max(best, Bytes / 1e9 / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        long sum = 0;
        for (int run = start; run < end; run++)
        {
            ReadOnlySpan<byte> bytes = _buffer.Bytes((long)run * RunBytes, RunBytes);
            sum += _tier switch
            {
                IsaTier.Avx512 => Read512(bytes),
                IsaTier.Avx2 => Read256(bytes),
                _ => ReadScalar(bytes),
            };
        }

        Interlocked.Add(ref _sum, sum);
    }

    /// <summary>Frees the buffer.</summary>
    public void Dispose() => _buffer.Dispose();

    // Bounds of both: a run is a whole number of steps of four vectors.
    private static long Read512(ReadOnlySpan<byte> bytes)
    {
        const int step = 4 * 64;
        ref byte first = ref MemoryMarshal.GetReference(bytes);
        Vector512<long> a = default, b = default, c = default, d = default;
        for (nuint i = 0; i < RunBytes; i += step)
        {
            a ^= Unsafe.ReadUnaligned<Vector512<long>>(ref Unsafe.Add(ref first, i));
            b ^= Unsafe.ReadUnaligned<Vector512<long>>(ref Unsafe.Add(ref first, i + 64));
            c ^= Unsafe.ReadUnaligned<Vector512<long>>(ref Unsafe.Add(ref first, i + 128));
            d ^= Unsafe.ReadUnaligned<Vector512<long>>(ref Unsafe.Add(ref first, i + 192));
        }

        return Vector512.Sum(a ^ b ^ c ^ d);
    }

    private static long Read256(ReadOnlySpan<byte> bytes)
    {
        const int step = 4 * 32;
        ref byte first = ref MemoryMarshal.GetReference(bytes);
        Vector256<long> a = default, b = default, c = default, d = default;
        for (nuint i = 0; i < RunBytes; i += step)
        {
            a ^= Unsafe.ReadUnaligned<Vector256<long>>(ref Unsafe.Add(ref first, i));
            b ^= Unsafe.ReadUnaligned<Vector256<long>>(ref Unsafe.Add(ref first, i + 32));
            c ^= Unsafe.ReadUnaligned<Vector256<long>>(ref Unsafe.Add(ref first, i + 64));
            d ^= Unsafe.ReadUnaligned<Vector256<long>>(ref Unsafe.Add(ref first, i + 96));
        }

        return Vector256.Sum(a ^ b ^ c ^ d);
    }

    private static long ReadScalar(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<long> words = MemoryMarshal.Cast<byte, long>(bytes);
        long a = 0, b = 0, c = 0, d = 0;
        for (int i = 0; i + 4 <= words.Length; i += 4)
        {
            a ^= words[i];
            b ^= words[i + 1];
            c ^= words[i + 2];
            d ^= words[i + 3];
        }

        return a ^ b ^ c ^ d;
    }
}
