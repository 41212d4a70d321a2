namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>Scales as f16.</summary>
internal static class HalfScale
{
    /// <summary>The nearest finite half.</summary>
    public static Half Round(float scale) => (Half)Math.Clamp(scale, -(float)Half.MaxValue, (float)Half.MaxValue);
}
