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

    /// <summary>Y = X · Wᵀ, rows split over the pool.</summary>
    /// <param name="job">The caller's reusable job.</param>
    /// <param name="pool">The threads; its scratch must hold <see cref="MatmulJob.ScratchElements"/> for this matrix.</param>
    /// <param name="activations">X, f32 <c>[tokens, cols]</c> from the buffer's start.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="destination">Y, f32 <c>[tokens, rows]</c> from the buffer's start.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows; Y is incomplete then.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Multiply(MatmulJob job, WorkerPool pool, AlignedBuffer activations, int tokens, AlignedBuffer destination, CancellationToken cancellationToken = default) =>
        job.Run(this, pool, activations, tokens, destination, cancellationToken);

    /// <summary>Rows <paramref name="start"/> to <paramref name="end"/> - 1 of the product.</summary>
    /// <param name="start">First row of W.</param>
    /// <param name="end">Row of W after the last.</param>
    /// <param name="activations">X, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="destination">Y, f32 <c>[tokens, rows]</c>; columns start to end - 1 are written.</param>
    /// <param name="scratch">Work space, f32 <c>[MatmulJob.ScratchElements]</c>.</param>
    public abstract void MultiplyRows(int start, int end, ReadOnlySpan<float> activations, int tokens, Span<float> destination, Span<float> scratch);

    /// <summary>Widens one row.</summary>
    /// <param name="row">Row number, 0 to <see cref="Rows"/> - 1.</param>
    /// <param name="destination">f32 <c>[cols]</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">No such row.</exception>
    public abstract void DequantizeRow(int row, Span<float> destination);
}
