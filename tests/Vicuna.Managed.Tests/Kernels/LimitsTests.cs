using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Limits;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>That the baselines do the work that they are paid for.</summary>
public sealed class LimitsTests
{
    private const long Megabytes = 3 << 20;

    public static TheoryData<string, int> TiersAndThreads()
    {
        TheoryData<string, int> data = [];
        foreach (IsaTier tier in IsaTiers.Supported)
        {
            data.Add(IsaTiers.NameOf(tier), 1);
            data.Add(IsaTiers.NameOf(tier), 3);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(TiersAndThreads))]
    public void Multiply_AnyNumberOfProducts_ComputesThemAll(string tier, int threads)
    {
        using WorkerPool pool = new(threads, 0);
        using FmaPeak peak = new(pool, TierNamed(tier));
        peak.Multiply(37);
        // 0.5 times 0.25 for each multiplication; half of the operations are additions.
        Assert.Equal(37.0 * peak.OperationsPerProduct / 2 / 8, peak.Sum);
    }

    [Theory]
    [MemberData(nameof(TiersAndThreads))]
    public void Read_OfABuffer_TakesWholeMegabytes(string tier, int threads)
    {
        using WorkerPool pool = new(threads, 0);
        using MemoryRead memory = new(pool, TierNamed(tier), Megabytes + 5);
        Assert.Equal(Megabytes, memory.Bytes);
        Assert.True(memory.Best(TestContext.Current.CancellationToken) > 0);
        Assert.Equal(5 * (1 + 2 + 3), memory.Sum);
    }

    [Fact]
    public void AffordableBytes_IsAtMostAQuarterOfAllMemory() =>
        Assert.InRange(MemoryRead.AffordableBytes(), 1 << 20, Math.Min(2L << 30, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4));

    [Fact]
    public void Measure_OfBoth_IsPositiveAndCanBeStopped()
    {
        using MachineLimits limits = new(IsaTier.Scalar, 2, 3, Megabytes);
        MachineSpeed speed = limits.Measure(TestContext.Current.CancellationToken);
        Assert.True(speed.MemoryReadGBPerSecond > 0 && speed.FmaPeakGFlops > 0);
        using CancellationTokenSource stop = new();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => limits.Measure(stop.Token));
    }

    private static IsaTier TierNamed(string name) => IsaTiers.Supported.Single(tier => IsaTiers.NameOf(tier) == name);
}
