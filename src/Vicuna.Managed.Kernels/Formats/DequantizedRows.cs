using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>The product of a format that has no kernel of its own: each row is widened to f32 in a buffer that stays in the cache, then multiplied.</summary>
internal static class DequantizedRows
{
    /// <summary>See <see cref="IWeightFormat{TSelf}.Multiply{TIsa}"/>.</summary>
    public static void Multiply<TFormat, TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> activations,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch)
        where TFormat : struct, IWeightFormat<TFormat>
        where TIsa : struct, IIsa
    {
        int rowBytes = checked(columns / TFormat.BlockElements * TFormat.BlockBytes);
        Span<float> widened = scratch[..columns];
        for (int row = 0; row < rowCount; row++)
        {
            TFormat.Dequantize(rows.Slice(row * rowBytes, rowBytes), widened);
            F32.Multiply<TIsa>(System.Runtime.InteropServices.MemoryMarshal.AsBytes(widened), 1, columns, activations, tokens, destination[row..], destinationStride, []);
        }
    }
}
