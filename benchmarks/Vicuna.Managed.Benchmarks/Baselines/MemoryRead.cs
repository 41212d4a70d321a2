using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Threading;
using Reading = Vicuna.Managed.Kernels.Limits.MemoryRead;

namespace Vicuna.Managed.Benchmarks.Baselines;

/// <summary>The machine's own speed of reading memory: the roof of every row that streams weights, decoding above all.</summary>
[Config(typeof(Columns))]
public class MemoryRead
{
    private const long Bytes = 1L << 30;

    private WorkerPool _pool = null!;
    private Reading _memory = null!;

    /// <summary>Numbers of threads: one, and all that the process may use.</summary>
    public static IEnumerable<int> ThreadCounts => new[] { 1, Environment.ProcessorCount }.Distinct();

    [ParamsSource(nameof(ThreadCounts))]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _pool = new WorkerPool(Threads, 0);
        _memory = new Reading(_pool, IsaTiers.Best, Bytes);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        _memory.Dispose();
    }

    [Benchmark]
    public long Read()
    {
        _memory.Read();
        return _memory.Sum;
    }

    private sealed class Columns() : Config(new RateColumn("GB/s", "Bytes read per second, in 10^9", _ => Bytes / 1e9));
}
