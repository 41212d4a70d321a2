namespace Vicuna.Managed.Sampling;

/// <summary>
/// Random numbers by position: the number for a seed and a position is a fixed function of both (SplitMix64's finalizer, Steele et al. 2014,
/// over a Weyl sequence). There is no state to save, so a rewound or restored sequence draws what an untouched one would.
/// </summary>
internal static class CounterRandom
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    /// <summary>A uniform number in [0, 1) with 53 bits.</summary>
    /// <param name="seed">Key of the sequence.</param>
    /// <param name="position">Position of the token that is drawn, from 0.</param>
    public static double NextDouble(long seed, int position) =>
        (Mix(Mix(unchecked((ulong)seed + GoldenGamma)) + unchecked(((ulong)(uint)position + 1) * GoldenGamma)) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Spreads the bits of a counter: the finalizer by itself, for streams with a counter of their own.</summary>
    public static ulong Mix(ulong z)
    {
        unchecked
        {
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
