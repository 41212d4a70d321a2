using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The layout and arithmetic of one weight storage format. <see cref="Dequantize"/> is the scalar specification;
/// <see cref="Multiply{TIsa}"/> is the fast path, which must give a row's dot product in an order that depends neither on the number of
/// tokens nor on the rows beside it, so that a batch or another thread count changes no bit.
/// </summary>
/// <typeparam name="TSelf">The implementing struct.</typeparam>
internal interface IWeightFormat<TSelf>
    where TSelf : struct, IWeightFormat<TSelf>
{
    /// <summary>The name in options, tests and benchmark rows, in lower case: <c>f16</c>, <c>q4_k</c>.</summary>
    static abstract string Name { get; }

    /// <summary>Weights per block; a row is a whole number of blocks.</summary>
    static abstract int BlockElements { get; }

    /// <summary>Bytes per block.</summary>
    static abstract int BlockBytes { get; }

    /// <summary>Widens stored blocks to f32, element by element in order.</summary>
    /// <param name="blocks">Whole blocks, of any alignment, <c>[n · BlockBytes]</c>.</param>
    /// <param name="destination">f32 <c>[n · BlockElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not whole blocks.</exception>
    static abstract void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination);

    /// <summary>Power of two by which activations are multiplied before <see cref="Multiply{TIsa}"/> sees them.</summary>
    static virtual float ActivationScale => 1f;

    /// <summary>Power of two by which sums of products are multiplied at the end.</summary>
    static virtual float ResultScale => 1f;

    /// <summary>Widens one row for a product: <see cref="Dequantize"/>, where the format has them with vectors, and up to the factor that <see cref="ResultScale"/> makes good.</summary>
    /// <typeparam name="TIsa">The instruction-set tier.</typeparam>
    /// <param name="blocks">Whole blocks, of any alignment, <c>[n · BlockBytes]</c>.</param>
    /// <param name="destination">f32 <c>[n · BlockElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not whole blocks.</exception>
    static virtual void DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TIsa : struct, IIsa => TSelf.Dequantize(blocks, destination);

    /// <summary>Y = X · Wᵀ for a run of rows of W. The default widens a few rows at a time and multiplies them as f32.</summary>
    /// <typeparam name="TIsa">The instruction-set tier.</typeparam>
    /// <param name="rows">Rows of W as stored, <c>[rowCount, columns]</c>.</param>
    /// <param name="rowCount">Rows of W in this run, dimensionless.</param>
    /// <param name="columns">Columns of W and of X, a multiple of <see cref="BlockElements"/>, dimensionless.</param>
    /// <param name="activations">X, f32 <c>[tokens, columns]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="destination">Y from the run's first row on, f32 <c>[tokens, destinationStride]</c>, of which <c>[tokens, rowCount]</c> is written.</param>
    /// <param name="destinationStride">Distance between two tokens in <paramref name="destination"/>, in elements.</param>
    /// <param name="scratch">Work space, f32 <c>[RowMajor.RowGroup · columns]</c> or more.</param>
    static virtual void Multiply<TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> activations,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch)
        where TIsa : struct, IIsa =>
        DequantizedRows.Multiply<TSelf, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
