namespace Vicuna.Managed;

/// <summary>What a <see cref="SpeedTest"/> found: medians over its repetitions. Ratios are medians of each repetition's ratio.</summary>
public sealed record SpeedTestResult
{
    /// <summary>The repetitions, in order.</summary>
    public required IReadOnlyList<SpeedTestSample> Samples { get; init; }

    /// <summary>Sequences that ran together.</summary>
    public required int Batch { get; init; }

    /// <summary>Threads that decoded, and read memory.</summary>
    public required int Threads { get; init; }

    /// <summary>Threads that worked on the prompt, and on the peak.</summary>
    public required int PrefillThreads { get; init; }

    /// <summary>Vector instructions in use.</summary>
    public required InstructionSet InstructionSet { get; init; }

    /// <summary>Bytes of weights that one pass reads: all matrices, without the embedding.</summary>
    public required long WeightBytesPerPass { get; init; }

    /// <summary>Most memory of the process, mapped weights included, in bytes; without the buffer that the memory's speed is measured with.</summary>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>Size of the buffer that the memory's speed was measured with, in bytes: 2 GiB, less where little memory is free.</summary>
    public required long MemoryReadBytes { get; init; }

    /// <summary>Managed bytes that the process allocates for each decoded token once everything is warm, in a step without a new cache page.</summary>
    public required double AllocatedBytesPerToken { get; init; }

    /// <summary>See <see cref="SpeedTestSample.PrefillTokensPerSecond"/>.</summary>
    public double PrefillTokensPerSecond => MedianOf(sample => sample.PrefillTokensPerSecond);

    /// <summary>See <see cref="SpeedTestSample.DecodeTokensPerSecond"/>.</summary>
    public double DecodeTokensPerSecond => MedianOf(sample => sample.DecodeTokensPerSecond);

    /// <summary>See <see cref="SpeedTestSample.WeightGBPerSecond"/>.</summary>
    public double WeightGBPerSecond => MedianOf(sample => sample.WeightGBPerSecond);

    /// <summary>See <see cref="SpeedTestSample.MemoryReadGBPerSecond"/>.</summary>
    public double MemoryReadGBPerSecond => MedianOf(sample => sample.MemoryReadGBPerSecond);

    /// <summary>See <see cref="SpeedTestSample.FmaPeakGFlops"/>.</summary>
    public double FmaPeakGFlops => MedianOf(sample => sample.FmaPeakGFlops);

    /// <summary>See <see cref="SpeedTestSample.PrefillGFlops"/>.</summary>
    public double PrefillGFlops => MedianOf(sample => sample.PrefillGFlops);

    /// <summary>See <see cref="SpeedTestSample.DecodeOverMemoryRead"/>.</summary>
    public double DecodeOverMemoryRead => MedianOf(sample => sample.DecodeOverMemoryRead);

    /// <summary>See <see cref="SpeedTestSample.PrefillOverFmaPeak"/>.</summary>
    public double PrefillOverFmaPeak => MedianOf(sample => sample.PrefillOverFmaPeak);

    /// <summary>The middle value, or the mean of the two in the middle.</summary>
    internal static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private double MedianOf(Func<SpeedTestSample, double> value) => Median(Samples.Select(value));
}
