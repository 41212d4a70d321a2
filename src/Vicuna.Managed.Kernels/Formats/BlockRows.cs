using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Rows of quantized blocks. For one token the blocks are widened in registers and multiplied at once, which saves the way of the f32 copies
/// through the cache; several tokens share the copies of <see cref="DequantizedRows"/>. Both have the order of sums of <see cref="RowMajor"/>: the
/// same bits.
/// </summary>
internal static class BlockRows
{
    /// <summary>Widens stored blocks with vectors, to the bits of <see cref="IWeightFormat{TSelf}.Dequantize"/>.</summary>
    /// <param name="blocks">Whole blocks, of any alignment, <c>[n · BlockBytes]</c>.</param>
    /// <param name="destination">f32 <c>[n · BlockElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not whole blocks.</exception>
    public static void Dequantize<TFormat, TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TFormat : struct, IBlockFormat<TFormat>
        where TIsa : struct, IIsa
    {
        if (typeof(TIsa) == typeof(Scalar))
        {
            TFormat.Dequantize(blocks, destination);
            return;
        }

        // The count is what every ref below relies on.
        int count = BlockSpans.Count<TFormat>(blocks, destination);
        ref byte block = ref MemoryMarshal.GetReference(blocks);
        ref float x = ref MemoryMarshal.GetReference(destination);
        for (int b = 0; b < count; b++)
        {
            if (typeof(TIsa) == typeof(Avx512))
            {
                TFormat.Walk<BlockUse512<BlockStore>, Vector512<float>>(ref block, ref x, default);
            }
            else
            {
                TFormat.Walk<BlockUse256<BlockStore>, Vector256<float>>(ref block, ref x, default);
            }

            block = ref Unsafe.AddByteOffset(ref block, (nuint)TFormat.BlockBytes);
            x = ref Unsafe.Add(ref x, TFormat.BlockElements);
        }
    }

    /// <summary>Y = X · Wᵀ for a run of rows of W.</summary>
    /// <inheritdoc cref="IWeightFormat{TSelf}.Multiply{TIsa}" path="/param"/>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Multiply<TFormat, TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> activations,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch)
        where TFormat : struct, IBlockFormat<TFormat>
        where TIsa : struct, IIsa
    {
        if (tokens != 1 || typeof(TIsa) == typeof(Scalar))
        {
            DequantizedRows.Multiply<TFormat, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
            return;
        }

        (int blocks, int rest) = Math.DivRem(columns, TFormat.BlockElements);
        nuint rowBytes = (nuint)blocks * (nuint)TFormat.BlockBytes;
        // What every ref below relies on; the work space is asked for, though it is not used, so that its lack shows with any number of tokens.
        if (rowCount < 0 || columns < 0 || rest != 0
            || (ulong)rows.Length < (ulong)rowCount * rowBytes
            || activations.Length < columns
            || destination.Length < rowCount
            || scratch.Length < (long)Math.Min(rowCount, RowMajor.RowGroup) * columns)
        {
            throw new ArgumentException(
                $"W [{rowCount}, {columns}] in {rows.Length} bytes, X [1, {columns}] in {activations.Length} elements, Y in {destination.Length} "
                + $"and {scratch.Length} of work space do not fit together.");
        }

        ref byte w = ref MemoryMarshal.GetReference(rows);
        ref float x = ref MemoryMarshal.GetReference(activations);
        for (int row = 0; row < rowCount; row++)
        {
            destination[row] = typeof(TIsa) == typeof(Avx512) ? Dot512<TFormat>(ref w, blocks, ref x) : Dot256<TFormat>(ref w, blocks, ref x);
            w = ref Unsafe.AddByteOffset(ref w, rowBytes);
        }
    }

    // Row after row: two at a time, whose sums do not wait for each other, gain in the cache and lose more in memory.
    private static float Dot512<TFormat>(ref byte w, int blocks, ref float x)
        where TFormat : struct, IBlockFormat<TFormat>
    {
        Vector512<float> sum = Vector512<float>.Zero;
        for (int b = 0; b < blocks; b++)
        {
            sum = TFormat.Walk<BlockUse512<BlockProduct>, Vector512<float>>(ref w, ref x, sum);
            w = ref Unsafe.AddByteOffset(ref w, (nuint)TFormat.BlockBytes);
            x = ref Unsafe.Add(ref x, TFormat.BlockElements);
        }

        return Lanes.Sum(sum);
    }

    private static float Dot256<TFormat>(ref byte w, int blocks, ref float x)
        where TFormat : struct, IBlockFormat<TFormat>
    {
        Vector256<float> sum = Vector256<float>.Zero;
        for (int b = 0; b < blocks; b++)
        {
            sum = TFormat.Walk<BlockUse256<BlockProduct>, Vector256<float>>(ref w, ref x, sum);
            w = ref Unsafe.AddByteOffset(ref w, (nuint)TFormat.BlockBytes);
            x = ref Unsafe.Add(ref x, TFormat.BlockElements);
        }

        return Lanes.Sum(sum);
    }
}
