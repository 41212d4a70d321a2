using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>
/// Weights stored as f16, computed with <see cref="F16Finite"/> where all of them are finite and with <see cref="F16"/> where not. That is found
/// out when the matrix is first used, not when it is opened: mapping a file must not read it.
/// </summary>
internal sealed class HalfMatrix<TIsa>(ByteRegion region, int rows, int columns) : WeightMatrix(F16.Name, region, rows, columns)
    where TIsa : struct, IIsa
{
    private readonly WeightMatrix<F16, TIsa> _any = new(region, rows, columns);
    private readonly WeightMatrix<F16Finite, TIsa> _finite = new(region, rows, columns);

    // Two threads may both look, and find the same.
    private volatile WeightMatrix? _chosen;

    /// <inheritdoc/>
    public override ActivationKind ActivationsFor(int tokens) => _any.ActivationsFor(tokens);

    /// <inheritdoc/>
    public override WeightMatrix Resolve(WorkerPool pool, MatmulInput input, CancellationToken cancellationToken)
    {
        WeightMatrix chosen = _chosen ??= AllFinite(pool, cancellationToken) ? _finite : _any;
        return chosen == _any || !input.IsBelow(F16Finite.MaxActivation) ? _any : chosen;
    }

    /// <inheritdoc/>
    public override void MultiplyPrepared(
        int start, int end, ActivationKind kind, ReadOnlySpan<byte> activations, int tokens, Span<float> destination, Span<float> scratch) =>
        _any.MultiplyPrepared(start, end, kind, activations, tokens, destination, scratch);

    /// <inheritdoc/>
    public override void DequantizeRow(int row, Span<float> destination) => _any.DequantizeRow(row, destination);

    private bool AllFinite(WorkerPool pool, CancellationToken cancellationToken)
    {
        FiniteCheck check = new(Region);
        pool.Run(check, check.Pieces, 1, cancellationToken);
        return check.Passed;
    }

    private sealed class FiniteCheck(ByteRegion region) : ParallelJob
    {
        private const int PieceBytes = 1 << 20;

        private volatile bool _found;

        public int Pieces { get; } = checked((int)((region.Length + PieceBytes - 1) / PieceBytes));

        public bool Passed => !_found;

        public override void Run(int start, int end, Span<float> scratch)
        {
            for (int piece = start; piece < end && !_found; piece++)
            {
                long offset = (long)piece * PieceBytes;
                if (!F16Finite.AllFinite<TIsa>(region.Bytes(offset, (int)Math.Min(PieceBytes, region.Length - offset))))
                {
                    _found = true;
                }
            }
        }
    }
}
