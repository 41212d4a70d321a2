using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>A matrix product as a job; one instance per pass, reused for every matrix.</summary>
internal sealed class MatmulJob : ParallelJob
{
    // Weight bytes below which a chunk is not worth waking a thread for.
    private const int GrainBytes = 16 << 10;

    // Rows of many tokens' products that a chunk is made of: what is widened together.
    private const int PanelRows = 16;

    private WeightMatrix? _matrix;
    private MatmulInput? _input;
    private AlignedBuffer? _destination;
    private ActivationKind _kind;
    private int _unit;

    /// <summary>Work space per thread for matrices of up to <paramref name="columns"/> columns, in f32 elements.</summary>
    public static int ScratchElements(int columns) => Math.Max(RowMajor.ScratchElements(columns), FloatPanel.ScratchElements(columns));

    /// <summary>Y = X · Wᵀ, rows split over the pool.</summary>
    /// <param name="matrix">W, <c>[rows, cols]</c>.</param>
    /// <param name="pool">The threads; its scratch must hold <see cref="ScratchElements"/> for this matrix.</param>
    /// <param name="input">X, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="destination">Y, f32 <c>[tokens, rows]</c> from the buffer's start.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows; Y is incomplete then.</param>
    /// <exception cref="ArgumentException">X has other columns than W.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Run(WeightMatrix matrix, WorkerPool pool, MatmulInput input, AlignedBuffer destination, CancellationToken cancellationToken = default)
    {
        if (input.Columns != matrix.Columns)
        {
            throw new ArgumentException($"X has {input.Columns} columns, W [{matrix.Rows}, {matrix.Columns}] has others.", nameof(input));
        }

        int tokens = input.Tokens;
        if (matrix.Rows == 0 || tokens == 0)
        {
            return;
        }

        _matrix = matrix.Resolve(pool, input, cancellationToken);
        _kind = _matrix.ActivationsFor(tokens);
        input.MaxThreads = MaxThreads;
        input.Prepare(_kind, _matrix.ActivationScale, pool, cancellationToken);
        _input = input;
        _destination = destination;
        _unit = _kind == ActivationKind.FloatPanel ? PanelRows : _matrix.RowUnit;
        long unitWork = Math.Max(1, matrix.Region.Length / matrix.Rows * _unit) * tokens;
        int units = (int)((matrix.Rows + (long)_unit - 1) / _unit);
        pool.Run(this, units, (int)Math.Clamp(GrainBytes / unitWork, 1, units), cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        WeightMatrix matrix = _matrix!;
        Span<float> destination = _destination!.Floats(0, checked(_input!.Tokens * matrix.Rows));
        matrix.MultiplyPrepared(start * _unit, (int)Math.Min((long)end * _unit, matrix.Rows), _kind, _input.Prepared, _input.Tokens, destination, scratch);
    }
}
