using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>A matrix product as a job; one instance per sequence, reused for every matrix.</summary>
internal sealed class MatmulJob : ParallelJob
{
    // Weight bytes below which a chunk is not worth waking a thread for.
    private const int GrainBytes = 16 << 10;

    private WeightMatrix? _matrix;
    private AlignedBuffer? _activations;
    private AlignedBuffer? _destination;
    private int _tokens;

    /// <summary>Work space per thread for matrices of up to <paramref name="columns"/> columns, in f32 elements.</summary>
    public static int ScratchElements(int columns) => RowMajor.ScratchElements(columns);

    /// <summary>See <see cref="WeightMatrix.Multiply"/>.</summary>
    public void Run(WeightMatrix matrix, WorkerPool pool, AlignedBuffer activations, int tokens, AlignedBuffer destination, CancellationToken cancellationToken = default)
    {
        if (matrix.Rows == 0 || tokens == 0)
        {
            return;
        }

        _matrix = matrix;
        _activations = activations;
        _destination = destination;
        _tokens = tokens;
        long rowWork = Math.Max(1, matrix.Region.Length / Math.Max(1, matrix.Rows)) * tokens;
        pool.Run(this, matrix.Rows, (int)Math.Clamp(GrainBytes / rowWork, 1, matrix.Rows), cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        WeightMatrix matrix = _matrix!;
        ReadOnlySpan<float> activations = _activations!.Floats(0, checked(_tokens * matrix.Columns));
        matrix.MultiplyRows(start, end, activations, _tokens, _destination!.Floats(0, checked(_tokens * matrix.Rows)), scratch);
    }
}
