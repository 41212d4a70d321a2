using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Reads stored elements of keys and values, widened to f32 in registers.</summary>
internal interface IKvElement
{
    /// <summary>Which type this is.</summary>
    static abstract KvType Type { get; }

    /// <summary>
    /// The power of two by which what is read is too small. Whoever multiplies by it puts it into the other factor once: the fused product
    /// has the same bits.
    /// </summary>
    static abstract float Factor { get; }

    /// <summary>Widens element number <paramref name="index"/>.</summary>
    static abstract float Load(ref byte source, nuint index);

    /// <summary>Widens 8 elements from number <paramref name="index"/> on.</summary>
    static abstract Vector256<float> Load256(ref byte source, nuint index);

    /// <summary>Widens 16 elements from number <paramref name="index"/> on.</summary>
    static abstract Vector512<float> Load512(ref byte source, nuint index);
}
