using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>The scales of a group, as f16.</summary>
internal static class HalfScale
{
    /// <summary>Rounds the scales of a group's rows to the nearest finite half.</summary>
    /// <param name="scales">f32 <c>[rows]</c>; receives the rounded values.</param>
    /// <param name="stored">Receives the halves, <c>[2 · rows]</c> bytes.</param>
    public static void Round(Span<float> scales, Span<byte> stored)
    {
        Span<Half> halves = MemoryMarshal.Cast<byte, Half>(stored)[..scales.Length];
        TensorPrimitives.Clamp(scales, -(float)Half.MaxValue, (float)Half.MaxValue, scales);
        TensorPrimitives.ConvertToHalf(scales, halves);
        TensorPrimitives.ConvertToSingle(halves, scales);
    }

    /// <summary>1 / scale, or 0 for the scale 0.</summary>
    public static float Inverse(float scale) => scale == 0 ? 0 : 1 / scale;
}
