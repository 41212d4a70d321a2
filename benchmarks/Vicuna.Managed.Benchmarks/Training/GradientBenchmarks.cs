using BenchmarkDotNet.Attributes;
using Vicuna.Managed.Benchmarks.Kernels;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Benchmarks.Training;

/// <summary>
/// A projection of a 7B model forward and back for 1,280 tokens (ten calibration passages): 43 GFLOP each, on all threads. To be set beside FmaPeak of the
/// same run; the gradients are to reach 0.6 of it.
/// </summary>
[Config(typeof(Columns))]
public class GradientBenchmarks
{
    private const int Side = 4096;
    private const int Tokens = 1280;

    private AlignedBuffer _weights = null!;
    private AlignedBuffer _x = null!;
    private AlignedBuffer _y = null!;
    private AlignedBuffer _result = null!;
    private WorkerPool _pool = null!;
    private WeightMatrix _matrix = null!;
    private InputGradient _inputGradient = null!;
    private WeightGradient _weightGradient = null!;
    private MatmulInput _input = null!;
    private MatmulJob _job = null!;

    public static IEnumerable<string> TierNames => MatmulBenchmarks.TierNames;

    [ParamsSource(nameof(TierNames))]
    public string Tier { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        IsaTier tier = IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == Tier);
        _weights = AlignedBuffer.Allocate((long)Side * Side * sizeof(ushort));
        _weights.Writable(0, Side * Side * sizeof(ushort)).Fill(0x31);
        _matrix = WeightFormats.Find("f16")!.Open(_weights.Region, Side, Side, tier);
        _x = Filled();
        _y = Filled();
        _result = Filled();
        _pool = new WorkerPool(Environment.ProcessorCount, Math.Max(MatmulJob.ScratchElements(Side), WeightGradient.ScratchElements(Side)));
        _inputGradient = new InputGradient(tier, Tokens, Side);
        _weightGradient = new WeightGradient(tier, Tokens, Side, Side);
        _input = new MatmulInput(tier, Tokens, Side);
        _job = new MatmulJob();
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        foreach (IDisposable item in (IDisposable[])[_inputGradient, _weightGradient, _input, _weights, _x, _y, _result])
        {
            item.Dispose();
        }
    }

    [Benchmark(Baseline = true)]
    public void Forward()
    {
        _input.Set(_x, Tokens, Side);
        _job.Add(_matrix, _result);
        _job.Run(_pool, _input);
    }

    [Benchmark]
    public void GradientOfTheInput() => _inputGradient.Run(_pool, _matrix, _y, _result, Tokens, add: false, CancellationToken.None);

    [Benchmark]
    public void GradientOfTheWeights() => _weightGradient.Stream(_pool, _y, _x, Tokens, Side, Side, static (_, _, _) => { }, CancellationToken.None);

    private static AlignedBuffer Filled()
    {
        AlignedBuffer buffer = AlignedBuffer.AllocateFloats((long)Tokens * Side);
        buffer.Floats(0, Tokens * Side).Fill(0.5f);
        return buffer;
    }

    private sealed class Columns() : Config(
        new RateColumn("GFLOP/s", "Multiplications and additions per second, in 10^9; compare with FmaPeak", _ => 2e-9 * Side * Side * Tokens));
}
