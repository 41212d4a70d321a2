using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// From the last block's output to the loss and back: final norm, output head, cross entropy. Only tokens that predict something are computed, some
/// hundred at a time, so that the logits of all of them never exist together.
/// </summary>
internal sealed class LossGradient : IDisposable
{
    private readonly PassContext _context;
    private readonly GradientVisitor _visitor;
    private readonly AlignedBuffer _x;
    private readonly AlignedBuffer _normed;
    private readonly AlignedBuffer _normedGradient;
    private readonly AlignedBuffer _xGradient;
    private readonly AlignedBuffer _logits;
    private readonly AlignedBuffer _scales;

    /// <summary>Allocates.</summary>
    /// <param name="context">What the parts of a pass share.</param>
    /// <param name="visitor">Sees the gradients of head and gain.</param>
    public LossGradient(PassContext context, GradientVisitor visitor)
    {
        _context = context;
        _visitor = visitor;
        long hidden = (long)context.Limits.TargetRows * context.Config.HiddenSize;
        _x = AlignedBuffer.AllocateFloats(hidden);
        _normed = AlignedBuffer.AllocateFloats(hidden);
        _normedGradient = AlignedBuffer.AllocateFloats(hidden);
        _xGradient = AlignedBuffer.AllocateFloats(hidden);
        _logits = AlignedBuffer.AllocateFloats((long)context.Limits.TargetRows * context.Config.VocabSize);
        _scales = AlignedBuffer.AllocateFloats(context.Limits.TargetRows);
    }

    private int Hidden => _context.Config.HiddenSize;

    /// <summary>The loss of every prediction.</summary>
    /// <param name="batch">What is to be predicted.</param>
    /// <param name="hidden">The last block's output, f32 <c>[T, D]</c>.</param>
    /// <param name="losses">Receives -log p of every target, <c>[targets]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Forward(TokenBatch batch, AlignedBuffer hidden, double[] losses, CancellationToken cancellationToken)
    {
        for (int first = 0; first < batch.Targets.Length; first += _context.Limits.TargetRows)
        {
            int count = Math.Min(_context.Limits.TargetRows, batch.Targets.Length - first);
            ComputeLogits(batch, first, count, hidden, cancellationToken);
            ForLogits(count, (row, logits) => losses[first + row] = CrossEntropy.Forward(logits, batch.Targets[first + row]), cancellationToken);
        }
    }

    /// <summary>The loss of every prediction, and the gradient of Σ scale · loss.</summary>
    /// <param name="batch">What is to be predicted.</param>
    /// <param name="hidden">The last block's output, f32 <c>[T, D]</c>.</param>
    /// <param name="scaleOf">Factor of a prediction's loss, by its number among the targets.</param>
    /// <param name="losses">Receives -log p of every target, <c>[targets]</c>.</param>
    /// <param name="gradient">Receives the gradient of <paramref name="hidden"/>, f32 <c>[T, D]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Backward(
        TokenBatch batch, AlignedBuffer hidden, Func<int, float> scaleOf, double[] losses, AlignedBuffer gradient, CancellationToken cancellationToken)
    {
        _context.ForRows(batch.Ids.Length, Hidden, (start, end, _) => gradient.Floats((long)start * Hidden, (end - start) * Hidden).Clear(), cancellationToken);
        for (int first = 0; first < batch.Targets.Length; first += _context.Limits.TargetRows)
        {
            int count = Math.Min(_context.Limits.TargetRows, batch.Targets.Length - first);
            ComputeLogits(batch, first, count, hidden, cancellationToken);
            ForLogits(
                count, (row, logits) => losses[first + row] = CrossEntropy.Backward(logits, batch.Targets[first + row], scaleOf(first + row)), cancellationToken);
            ProjectBackward(batch, first, count, gradient, cancellationToken);
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _x.Dispose();
        _normed.Dispose();
        _normedGradient.Dispose();
        _xGradient.Dispose();
        _logits.Dispose();
        _scales.Dispose();
    }

    private void ComputeLogits(TokenBatch batch, int first, int count, AlignedBuffer hidden, CancellationToken cancellationToken)
    {
        _context.ForRows(count, Hidden, (start, end, _) =>
        {
            for (int row = start; row < end; row++)
            {
                Span<float> x = _x.Floats((long)row * Hidden, Hidden);
                hidden.Floats((long)batch.TargetRows[first + row] * Hidden, Hidden).CopyTo(x);
                _context.Operations.RmsNorm(x, _context.Weights.FinalNorm, _context.Config.RmsNormEps, _normed.Floats((long)row * Hidden, Hidden));
            }
        }, cancellationToken);
        _context.Multiply(_context.Weights.Output, _normed, _logits, count, cancellationToken); // [count, V]
    }

    private void ForLogits(int count, LogitsWork work, CancellationToken cancellationToken)
    {
        int vocabulary = _context.Config.VocabSize;
        _context.ForRows(count, vocabulary, (start, end, _) =>
        {
            for (int row = start; row < end; row++)
            {
                work(row, _logits.Floats((long)row * vocabulary, vocabulary));
            }
        }, cancellationToken);
    }

    private void ProjectBackward(TokenBatch batch, int first, int count, AlignedBuffer gradient, CancellationToken cancellationToken)
    {
        int layers = _context.Config.NumHiddenLayers;
        WeightMatrix head = _context.Weights.Output;
        _context.MultiplyBackward(head, _logits, _normedGradient, count, add: false, cancellationToken); // [count, D]
        _visitor.HeadBackward(head, _normed, _logits, count, cancellationToken);
        _context.ForRows(count, Hidden, (start, end, scratch) =>
        {
            int elements = (end - start) * Hidden;
            Span<float> target = _xGradient.Floats((long)start * Hidden, elements);
            target.Clear();
            _context.Operations.RmsNormBackward(
                _x.Floats((long)start * Hidden, elements), _context.Weights.FinalNorm, _context.Config.RmsNormEps,
                _normedGradient.Floats((long)start * Hidden, elements), target, _scales.Floats(start, end - start), scratch);
            for (int row = start; row < end; row++)
            {
                _xGradient.Floats((long)row * Hidden, Hidden).CopyTo(gradient.Floats((long)batch.TargetRows[first + row] * Hidden, Hidden));
            }
        }, cancellationToken);
        if (_visitor.GainGradient(layers, Gain.Final) is { } destination)
        {
            GainGradients.Add(_context, _x, _normedGradient, _scales, count, destination, cancellationToken);
        }
    }

    private delegate void LogitsWork(int row, Span<float> logits);
}
