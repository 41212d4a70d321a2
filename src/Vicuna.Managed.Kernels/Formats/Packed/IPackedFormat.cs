using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// A quantized format whose rows lie side by side: a block holds <see cref="PackedLayout.BlockRows"/> rows, group of columns after group of columns,
/// so that a vector holds the same columns of all its rows. A product needs no horizontal sums, and a row's sum has the same order for one token and
/// many. Integer sums are exact and each group's share is added with one fused product: every tier gives the same bits.
/// </summary>
/// <typeparam name="TSelf">The implementing struct.</typeparam>
internal interface IPackedFormat<TSelf>
    where TSelf : struct, IPackedFormat<TSelf>
{
    /// <summary>The name in options, tests and benchmark rows, in lower case: <c>q8</c>.</summary>
    static abstract string Name { get; }

    /// <summary>Bytes of one group: scales and numbers of 16 rows and 32 columns.</summary>
    static abstract int GroupBytes { get; }

    /// <summary>How the products read activations.</summary>
    static abstract ActivationKind Activations { get; }

    /// <summary>Quantizes a group.</summary>
    /// <param name="weights">f32 <c>[rows, stride]</c>, of which <c>[rows, 32]</c> is read.</param>
    /// <param name="stride">Distance between two rows, in elements.</param>
    /// <param name="rows">Rows, 1 to 16; the group's others stay as they are.</param>
    /// <param name="group">Receives the group, <c>[GroupBytes]</c>.</param>
    /// <returns>A row with a weight that is not finite, or -1. What is written then is of no use.</returns>
    static abstract int Quantize(ReadOnlySpan<float> weights, int stride, int rows, Span<byte> group);

    /// <summary>Takes over 32 weights of one row that are stored in a format with the same numbers, without loss.</summary>
    /// <param name="block">One block of <see cref="LosslessSource"/>, <c>[BlockBytes]</c>.</param>
    /// <param name="row">The row's place in the block, 0 to 15.</param>
    /// <param name="group">The group's bytes, <c>[GroupBytes]</c>; only the row's own are written.</param>
    static abstract void Repack(ReadOnlySpan<byte> block, int row, Span<byte> group);

    /// <summary>Name of the stored format whose blocks <see cref="Repack"/> takes.</summary>
    static abstract string LosslessSource { get; }

    /// <summary>Widens 32 weights of one row.</summary>
    /// <param name="group">The group's bytes, <c>[GroupBytes]</c>.</param>
    /// <param name="row">The row's place in the block, 0 to 15.</param>
    /// <param name="destination">f32 <c>[32]</c>.</param>
    static abstract void Dequantize(ReadOnlySpan<byte> group, int row, Span<float> destination);

    /// <summary>One block of rows against up to three tiles of tokens.</summary>
    /// <typeparam name="TIsa">The instruction-set tier.</typeparam>
    /// <param name="block">The block's groups, <c>[groups · GroupBytes]</c>.</param>
    /// <param name="groups">Groups of columns, dimensionless.</param>
    /// <param name="activations">X laid out, <c>[PackedLayout.Integers]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="firstTile">First tile of tokens.</param>
    /// <param name="tiles">Tiles of tokens, 1 to 3.</param>
    /// <param name="destination">Y from the block's first row and the first tile's first token on, f32 <c>[4 · tiles, stride]</c>, or <c>[1, stride]</c> for one token; 16 rows of each token are written.</param>
    /// <param name="stride">Distance between two tokens in <paramref name="destination"/>, in elements.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    static abstract void Multiply<TIsa>(
        ReadOnlySpan<byte> block, int groups, ReadOnlySpan<int> activations, int tokens, int firstTile, int tiles, Span<float> destination, int stride)
        where TIsa : struct, IIsa;
}
