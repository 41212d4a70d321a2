using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>
/// A weight matrix W <c>[rows, cols]</c> as stored, in mapped or native memory. Its members are the only virtual calls of a product: one per
/// matrix; everything below is closed over the format and the instruction set. Read-only and safe for concurrent use.
/// </summary>
internal abstract class WeightMatrix(string format, ByteRegion region, int rows, int columns)
{
    /// <summary>The storage format's name.</summary>
    public string Format { get; } = format;

    /// <summary>Output features, dimensionless.</summary>
    public int Rows { get; } = rows;

    /// <summary>Input features, dimensionless.</summary>
    public int Columns { get; } = columns;

    /// <summary>The stored bytes, row after row.</summary>
    public ByteRegion Region { get; } = region;

    /// <summary>Rows that are computed together: runs of rows start at multiples of it.</summary>
    public virtual int RowUnit => 1;

    /// <summary>Power of two by which activations are multiplied when they are laid out.</summary>
    public virtual float ActivationScale => 1f;

    /// <summary>How the product of a number of tokens reads its activations.</summary>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    public abstract ActivationKind ActivationsFor(int tokens);

    /// <summary>The matrix to compute with: this one, or a form of it that fits the numbers at hand.</summary>
    /// <param name="pool">Threads, where the weights have to be looked at.</param>
    /// <param name="input">The activations.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows.</param>
    public virtual WeightMatrix Resolve(WorkerPool pool, MatmulInput input, CancellationToken cancellationToken) => this;

    /// <summary>Rows <paramref name="start"/> to <paramref name="end"/> - 1 of the product with activations laid out for it.</summary>
    /// <param name="start">First row of W, a multiple of <see cref="RowUnit"/>.</param>
    /// <param name="end">Row of W after the last: a multiple of <see cref="RowUnit"/>, or <see cref="Rows"/>.</param>
    /// <param name="kind">The layout, <see cref="ActivationsFor"/>.</param>
    /// <param name="activations">X as laid out by <see cref="MatmulInput"/>, <c>[tokens, cols]</c> or more, filled up.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="destination">Y, f32 <c>[tokens, rows]</c>; columns start to end - 1 are written.</param>
    /// <param name="scratch">Work space, f32 <c>[MatmulJob.ScratchElements]</c>.</param>
    public abstract void MultiplyPrepared(
        int start, int end, ActivationKind kind, ReadOnlySpan<byte> activations, int tokens, Span<float> destination, Span<float> scratch);

    /// <summary>Widens one row.</summary>
    /// <param name="row">Row number, 0 to <see cref="Rows"/> - 1.</param>
    /// <param name="destination">f32 <c>[cols]</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">No such row.</exception>
    public abstract void DequantizeRow(int row, Span<float> destination);
}
