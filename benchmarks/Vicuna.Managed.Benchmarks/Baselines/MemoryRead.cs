using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Benchmarks.Baselines;

/// <summary>
/// The machine's own speed of reading memory front to back, in 512-bit loads of 1 GiB: the roof of every row that streams weights, decoding above
/// all. Reads are whole vectors of a buffer far larger than any cache.
/// </summary>
[Config(typeof(Columns))]
public class MemoryRead
{
    private const int RunBytes = 1 << 20;
    private const long Bytes = 1L << 30;

    private AlignedBuffer _buffer = null!;
    private WorkerPool _pool = null!;
    private ReadJob _job = null!;

    /// <summary>Numbers of threads: one, and all that the process may use.</summary>
    public static IEnumerable<int> ThreadCounts => new[] { 1, Environment.ProcessorCount }.Distinct();

    [ParamsSource(nameof(ThreadCounts))]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _buffer = AlignedBuffer.Allocate(Bytes);
        for (long offset = 0; offset < Bytes; offset += RunBytes)
        {
            // Untouched pages would all be one page of zeros.
            _buffer.Writable(offset, RunBytes).Fill(1);
        }

        _pool = new WorkerPool(Threads, 0);
        _job = new ReadJob(_buffer);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        _buffer.Dispose();
    }

    [Benchmark]
    public long Read()
    {
        _pool.Run(_job, (int)(Bytes / RunBytes), 1);
        return _job.Sum;
    }

    private sealed class ReadJob(AlignedBuffer buffer) : ParallelJob
    {
        private long _sum;

        public long Sum => _sum;

        public override void Run(int start, int end, Span<float> scratch)
        {
            Vector512<long> a = default, b = default, c = default, d = default;
            for (int run = start; run < end; run++)
            {
                ReadOnlySpan<Vector512<long>> vectors = MemoryMarshal.Cast<byte, Vector512<long>>(buffer.Writable((long)run * RunBytes, RunBytes));
                for (int i = 0; i + 4 <= vectors.Length; i += 4)
                {
                    a ^= vectors[i];
                    b ^= vectors[i + 1];
                    c ^= vectors[i + 2];
                    d ^= vectors[i + 3];
                }
            }

            // The result is used, so that no read can be left out.
            Interlocked.Add(ref _sum, Vector512.Sum(a ^ b ^ c ^ d));
        }
    }

    private sealed class Columns() : Config(new RateColumn("GB/s", "Bytes read per second, in 10^9", _ => Bytes / 1e9));
}
