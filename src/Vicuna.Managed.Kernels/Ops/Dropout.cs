namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Dropout (Srivastava et al. 2014), scaled so that the mean stays: an element is kept with probability 1 - rate and multiplied by 1 / (1 - rate). Which
/// elements are kept is a function of a key and of an element's number, so that a pass that is computed again drops the same ones; the gradient is the
/// same operation.
/// </summary>
internal static class Dropout
{
    /// <summary>Drops elements.</summary>
    /// <param name="x">f32 <c>[n]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>; may be <paramref name="x"/> itself.</param>
    /// <param name="key">Chooses the elements.</param>
    /// <param name="first">Number of the first element, dimensionless.</param>
    /// <param name="rate">Share that is dropped, dimensionless, 0 to below 1.</param>
    public static void Apply(ReadOnlySpan<float> x, Span<float> destination, uint key, uint first, double rate)
    {
        uint threshold = (uint)(rate * uint.MaxValue);
        float scale = (float)(1 / (1 - rate));
        for (int i = 0; i < x.Length; i++)
        {
            destination[i] = Mix(unchecked(((first + (uint)i) * 0x9E3779B1) ^ key)) < threshold ? 0 : x[i] * scale;
        }
    }

    // MurmurHash3's 32-bit finalizer (Appleby, public domain).
    private static uint Mix(uint h)
    {
        unchecked
        {
            h = (h ^ (h >> 16)) * 0x85EBCA6B;
            h = (h ^ (h >> 13)) * 0xC2B2AE35;
            return h ^ (h >> 16);
        }
    }
}
