using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// A model's loss over whole sequences and its gradient, block by block: the blocks' inputs are kept, everything else is computed again on the way back.
/// Memory: weights + blocks · T · D · 4 bytes + the work space of one block. The caller takes the steps, so that long runs can stop between two blocks.
/// </summary>
internal sealed class DecoderGradient : IDisposable
{
    private readonly PassContext _context;
    private readonly BlockGradient _block;
    private readonly LossGradient _loss;
    private readonly AlignedBuffer[] _inputs;

    /// <summary>Allocates, and starts the threads.</summary>
    /// <param name="model">The model.</param>
    /// <param name="limits">How large passes get.</param>
    /// <param name="visitor">Makes the visitor that sees the gradients.</param>
    public DecoderGradient(PassModel model, PassLimits limits, Func<PassContext, GradientVisitor> visitor)
    {
        _context = new PassContext(model, limits);
        Visitor = visitor(_context);
        _block = new BlockGradient(_context, Visitor);
        _loss = new LossGradient(_context, Visitor);
        long hidden = (long)limits.Tokens * _context.Config.HiddenSize;
        // The last one is the last block's output.
        _inputs = [.. Enumerable.Range(0, _context.Config.NumHiddenLayers + 1).Select(_ => AlignedBuffer.AllocateFloats(hidden))];
        Gradient = AlignedBuffer.AllocateFloats(hidden);
    }

    /// <summary>What the parts of a pass share.</summary>
    public PassContext Context => _context;

    /// <summary>Sees the gradients.</summary>
    public GradientVisitor Visitor { get; }

    /// <summary>Gradient of the residual stream where the backward pass stands, f32 <c>[T, D]</c>.</summary>
    public AlignedBuffer Gradient { get; }

    /// <summary>The residual stream before a block, f32 <c>[T, D]</c>; that after the last one under the number of blocks.</summary>
    public AlignedBuffer InputOf(int layer) => _inputs[layer];

    /// <summary>Looks up the embeddings of a new batch.</summary>
    /// <exception cref="ArgumentException">The batch is larger than the limits.</exception>
    public void Begin(TokenBatch batch, CancellationToken cancellationToken)
    {
        _context.Begin(batch);
        int hidden = _context.Config.HiddenSize;
        _context.ForRows(batch.Ids.Length, hidden, (start, end, _) =>
        {
            for (int i = start; i < end; i++)
            {
                _context.Weights.TokenEmbedding.DequantizeRow(batch.Ids[i], _inputs[0].Floats((long)i * hidden, hidden));
            }
        }, cancellationToken);
    }

    /// <summary>Runs a block from its input to the next one's.</summary>
    public void Forward(int layer, CancellationToken cancellationToken) => _block.Forward(layer, _inputs[layer], _inputs[layer + 1], cancellationToken);

    /// <summary>Runs a block on a stream of the caller's own, in place; nothing is kept.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="stream">f32 <c>[T, D]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Forward(int layer, AlignedBuffer stream, CancellationToken cancellationToken) => _block.Forward(layer, stream, stream, cancellationToken);

    /// <summary>The loss of every prediction from a residual stream after the last block.</summary>
    /// <returns>-log p of every target, in nats.</returns>
    public double[] Loss(TokenBatch batch, AlignedBuffer hidden, CancellationToken cancellationToken)
    {
        double[] losses = new double[batch.Targets.Length];
        _loss.Forward(batch, hidden, losses, cancellationToken);
        return losses;
    }

    /// <summary>The loss of every prediction, and the gradient of Σ scale · loss down to the last block's output.</summary>
    /// <returns>-log p of every target, in nats.</returns>
    public double[] BeginBackward(TokenBatch batch, Func<int, float> scaleOf, CancellationToken cancellationToken)
    {
        double[] losses = new double[batch.Targets.Length];
        _loss.Backward(batch, _inputs[^1], scaleOf, losses, Gradient, cancellationToken);
        return losses;
    }

    /// <summary>Takes the gradient back through a block.</summary>
    public void Backward(int layer, CancellationToken cancellationToken) => _block.Backward(layer, _inputs[layer], Gradient, cancellationToken);

    /// <summary>Runs all blocks forward.</summary>
    public void Forward(TokenBatch batch, CancellationToken cancellationToken)
    {
        Begin(batch, cancellationToken);
        for (int layer = 0; layer < _context.Config.NumHiddenLayers; layer++)
        {
            Forward(layer, cancellationToken);
        }
    }

    /// <summary>Runs all blocks forward and back.</summary>
    /// <returns>-log p of every target, in nats.</returns>
    public double[] ForwardAndBackward(TokenBatch batch, Func<int, float> scaleOf, CancellationToken cancellationToken)
    {
        Forward(batch, cancellationToken);
        double[] losses = BeginBackward(batch, scaleOf, cancellationToken);
        for (int layer = _context.Config.NumHiddenLayers - 1; layer >= 0; layer--)
        {
            Backward(layer, cancellationToken);
        }

        return losses;
    }

    /// <summary>Ends the threads and frees the memory.</summary>
    public void Dispose()
    {
        _loss.Dispose();
        _block.Dispose();
        foreach (AlignedBuffer input in _inputs)
        {
            input.Dispose();
        }

        Gradient.Dispose();
        (Visitor as IDisposable)?.Dispose();
        _context.Dispose();
    }
}
