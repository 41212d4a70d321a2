using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Parameters;
using BenchmarkDotNet.Running;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Benchmarks.Kernels;

/// <summary>
/// The product of every weight format in every instruction set, of the shape of a 7B model's attention projections, on all threads. Calls go
/// round a row of matrices that no cache holds, as a model's layers do: one token measures memory, 510 measure arithmetic.
/// </summary>
[Config(typeof(Columns))]
public class MatmulBenchmarks
{
    private const int Side = 4096;

    // Several times the third-level cache of common servers.
    private const long StoredBytes = 384L << 20;

    private AlignedBuffer _weights = null!;
    private AlignedBuffer _activations = null!;
    private AlignedBuffer _destination = null!;
    private WeightMatrix[] _matrices = null!;
    private WorkerPool _pool = null!;
    private MatmulInput _input = null!;
    private MatmulJob _job = null!;
    private int _next;

    public static IEnumerable<string> FormatNames => [.. WeightFormats.All.Select(format => format.Name), .. MatrixPacker.Formats];

    public static IEnumerable<string> TierNames => IsaTiers.Supported.Select(IsaTiers.NameOf);

    [ParamsSource(nameof(FormatNames))]
    public string Format { get; set; } = "";

    [ParamsSource(nameof(TierNames))]
    public string Tier { get; set; } = "";

    [Params(1, 8, 510)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        IsaTier tier = IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == Tier);
        bool isPacked = MatrixPacker.Formats.Contains(Format);
        WeightFormat stored = WeightFormats.Find(isPacked ? "f16" : Format)!;
        long storedBytes = (long)Side * Side / stored.BlockElements * stored.BlockBytes;
        int count = (int)(StoredBytes / MatrixBytes(Format)) + 1;
        _weights = AlignedBuffer.Allocate(storedBytes * (isPacked ? 1 : count));
        for (long offset = 0; offset < _weights.Length; offset += Side)
        {
            // 0x11 in every byte is a small finite number in every format; random bytes would make infinities and slow subnormal numbers.
            _weights.Writable(offset, (int)Math.Min(Side, _weights.Length - offset)).Fill(0x11);
        }

        _pool = new WorkerPool(Environment.ProcessorCount, Math.Max(MatmulJob.ScratchElements(Side), MatrixPacker.ScratchElements(Side)));
        WeightMatrix Open(int i) => stored.Open(_weights.Region.Slice(isPacked ? 0 : i * storedBytes, storedBytes), Side, Side, tier);
        _matrices = [.. Enumerable.Range(0, count).Select(i => isPacked ? MatrixPacker.Pack(Format, Open(i), tier, _pool) : Open(i))];
        _activations = AlignedBuffer.AllocateFloats(Tokens * Side);
        _activations.Floats(0, Tokens * Side).Fill(0.5f);
        _destination = AlignedBuffer.AllocateFloats(Tokens * Side);
        _input = new MatmulInput(tier, Tokens, Side);
        _job = new MatmulJob();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        _input.Dispose();
        Array.ForEach(_matrices, matrix => matrix.Region.Block.Dispose());
        _weights.Dispose();
        _activations.Dispose();
        _destination.Dispose();
    }

    [Benchmark]
    public void Multiply()
    {
        _next = (_next + 1) % _matrices.Length;
        _input.Set(_activations, Tokens, Side);
        _job.Add(_matrices[_next], _destination);
        _job.Run(_pool, _input);
    }

    private static long MatrixBytes(string format) => MatrixPacker.Formats.Contains(format)
        ? MatrixPacker.PackedBytes(format, Side, Side)
        : (long)Side * Side / WeightFormats.Find(format)!.BlockElements * WeightFormats.Find(format)!.BlockBytes;

    private static double Gigabytes(BenchmarkCase benchmark) => MatrixBytes((string)benchmark.Parameters[nameof(Format)]) / 1e9;

    private static double Gigaflops(BenchmarkCase benchmark) => 2e-9 * Side * Side * (int)benchmark.Parameters[nameof(Tokens)];

    private sealed class Columns() : Config(
        new RateColumn("GB/s", "Bytes of stored weights per second, in 10^9; compare with MemoryRead", Gigabytes),
        new RateColumn("GFLOP/s", "Multiplications and additions per second, in 10^9", Gigaflops));
}
