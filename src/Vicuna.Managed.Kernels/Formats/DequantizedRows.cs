using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The product of a format that has no kernel of its own for a number of tokens: a group of rows is widened to f32 in a buffer that stays in the cache, then
/// multiplied. The matrix keeps its stored size.
/// </summary>
internal static class DequantizedRows
{
    /// <summary>Y = X · Wᵀ for a run of rows of W, a group of rows at a time.</summary>
    /// <inheritdoc cref="IWeightFormat{TSelf}.Multiply{TIsa}" path="/param"/>
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
        for (int row = 0; row < rowCount; row += RowMajor.RowGroup)
        {
            int group = Math.Min(RowMajor.RowGroup, rowCount - row);
            Span<float> widened = scratch[..(group * columns)];
            TFormat.DequantizeVector<TIsa>(rows.Slice(row * rowBytes, group * rowBytes), widened);
            RowMajor.Multiply<F32, TIsa>(MemoryMarshal.AsBytes(widened), group, columns, activations, tokens, destination[row..], destinationStride, []);
        }
    }
}
