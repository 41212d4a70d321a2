using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Running;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Threading;
using Peak = Vicuna.Managed.Kernels.Limits.FmaPeak;

namespace Vicuna.Managed.Benchmarks.Baselines;

/// <summary>The machine's own speed of fused multiply-adds in f32 on cached data: the roof of a prompt's products in f32.</summary>
[Config(typeof(Columns))]
public class FmaPeak
{
    private const int Products = 1000;

    private WorkerPool _pool = null!;
    private Peak _peak = null!;

    /// <summary>The tiers that this machine has.</summary>
    public static IEnumerable<string> Tiers => IsaTiers.Supported.Select(IsaTiers.NameOf);

    [ParamsSource(nameof(Tiers))]
    public string Isa { get; set; } = "scalar";

    [GlobalSetup]
    public void Setup()
    {
        _pool = new WorkerPool(Environment.ProcessorCount, 0);
        _peak = new Peak(_pool, TierNamed(Isa));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        _peak.Dispose();
    }

    [Benchmark]
    public double Multiply()
    {
        _peak.Multiply(Products);
        return _peak.Sum;
    }

    private static IsaTier TierNamed(string name) => IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == name);

    private static double Gigaflops(BenchmarkCase benchmark)
    {
        using WorkerPool pool = new(1, 0);
        using Peak peak = new(pool, TierNamed((string)benchmark.Parameters[nameof(Isa)]));
        return Products * peak.OperationsPerProduct / 1e9;
    }

    private sealed class Columns() : Config(new RateColumn("GFLOP/s", "f32 operations per second, in 10^9", Gigaflops));
}
