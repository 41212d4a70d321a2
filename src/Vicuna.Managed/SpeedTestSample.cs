namespace Vicuna.Managed;

/// <summary>One repetition of a <see cref="SpeedTest"/>, with the machine's limits measured right before and after it.</summary>
public sealed record SpeedTestSample
{
    /// <summary>Tokens of the prompts per second, of all sequences together.</summary>
    public required double PrefillTokensPerSecond { get; init; }

    /// <summary>New tokens per second, of all sequences together.</summary>
    public required double DecodeTokensPerSecond { get; init; }

    /// <summary>Bytes of weights read per second while decoding, in 10^9: bytes of a pass times passes per second.</summary>
    public required double WeightGBPerSecond { get; init; }

    /// <summary>Bytes per second at which the same threads read plain memory, in 10^9; the mean of before and after, each the best of five rounds.</summary>
    public required double MemoryReadGBPerSecond { get; init; }

    /// <summary>
    /// Operations per second of an f32 kernel on cached data with the same threads, in 10^9; the mean of before and after, each the best of five
    /// rounds.
    /// </summary>
    public required double FmaPeakGFlops { get; init; }

    /// <summary>
    /// Floating-point operations per second of the prompts, in 10^9. A prompt of T tokens counts
    /// <c>2 · P · T + 2 · D · V + L · 2 · T² · H · dh</c>: the P elements of the blocks' matrices for each token, the output head once, and attention.
    /// </summary>
    public required double PrefillGFlops { get; init; }

    /// <summary>Share of the memory's speed that decoding reaches, dimensionless. A model that fits the caches may exceed 1.</summary>
    public double DecodeOverMemoryRead => WeightGBPerSecond / MemoryReadGBPerSecond;

    /// <summary>Share of the f32 peak that the prompt reaches, dimensionless. Products in integers may exceed 1.</summary>
    public double PrefillOverFmaPeak => PrefillGFlops / FmaPeakGFlops;
}
