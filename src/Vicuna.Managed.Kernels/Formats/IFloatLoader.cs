using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>Reads floats of one stored type, widened to f32 in registers; exact for every bit pattern (a NaN stays some NaN).</summary>
internal interface IFloatLoader
{
    /// <summary>Bytes per stored element.</summary>
    static abstract int ElementBytes { get; }

    /// <summary>Power of two by which sums of products are multiplied at the end, for loaders that leave a factor out.</summary>
    static virtual float ResultScale => 1f;

    /// <summary>Widens the element at <paramref name="source"/>.</summary>
    static abstract float LoadScalar(ref readonly byte source);

    /// <summary>Widens 8 elements from <paramref name="source"/> on, of any alignment.</summary>
    static abstract Vector256<float> Load256(ref readonly byte source);

    /// <summary>Widens 16 elements from <paramref name="source"/> on, of any alignment.</summary>
    static abstract Vector512<float> Load512(ref readonly byte source);
}
