namespace Vicuna.Managed.Kernels.Formats;

/// <summary>A format of quantized blocks, which are widened with vectors in registers: <see cref="Walk"/> is all that such a format adds.</summary>
/// <typeparam name="TSelf">The implementing struct.</typeparam>
internal interface IBlockFormat<TSelf> : IWeightFormat<TSelf>
    where TSelf : struct, IBlockFormat<TSelf>
{
    /// <summary>Hands the elements of one block on, from left to right, with the bits of <see cref="IWeightFormat{TSelf}.Dequantize"/>. Needs AVX2.</summary>
    /// <typeparam name="TUse">What becomes of the elements.</typeparam>
    /// <typeparam name="TSum">The accumulator.</typeparam>
    /// <param name="block">One stored block, of any alignment, <c>[BlockBytes]</c>.</param>
    /// <param name="operand">Where the elements go, or their activations, f32 <c>[BlockElements]</c>.</param>
    /// <param name="sum">The accumulator so far.</param>
    /// <returns>The accumulator.</returns>
    static abstract TSum Walk<TUse, TSum>(ref byte block, ref float operand, TSum sum)
        where TUse : struct, IBlockUse<TSum>
        where TSum : struct;

    /// <inheritdoc/>
    static void IWeightFormat<TSelf>.DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination) =>
        BlockRows.Dequantize<TSelf, TIsa>(blocks, destination);

    /// <inheritdoc/>
    static void IWeightFormat<TSelf>.Multiply<TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> activations,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch) =>
        BlockRows.Multiply<TSelf, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
