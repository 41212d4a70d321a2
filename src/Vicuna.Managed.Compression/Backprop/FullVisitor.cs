using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>Adds the gradient of every weight to its parameter.</summary>
internal sealed class FullVisitor : GradientVisitor, IDisposable
{
    private readonly PassContext _context;
    private readonly IReadOnlyDictionary<string, TrainableParameter> _parameters;
    private readonly WeightGradient _gradient;
    private readonly WeightGradient _headGradient;

    /// <summary>Allocates.</summary>
    /// <param name="context">What the parts of a pass share.</param>
    /// <param name="parameters">The parameters by Hugging Face's names.</param>
    public FullVisitor(PassContext context, IReadOnlyDictionary<string, TrainableParameter> parameters)
    {
        _context = context;
        _parameters = parameters;
        int widest = Enum.GetValues<BlockMatrix>().Select(matrix => BlockMatrices.ShapeOf(matrix, context.Config)).Max(shape => Math.Max(shape.Rows, shape.Columns));
        _gradient = new WeightGradient(context.Tier, context.Limits.Tokens, widest, widest);
        _headGradient = new WeightGradient(context.Tier, context.Limits.TargetRows, context.Config.VocabSize, context.Config.HiddenSize);
    }

    /// <inheritdoc/>
    public override void ProjectBackward(
        int layer, BlockMatrix projection, WeightMatrix matrix, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens,
        CancellationToken cancellationToken) =>
        _gradient.Add(
            _context.Pool, outputGradient, x, tokens, matrix.Rows, matrix.Columns, _parameters[TensorNames.Of(layer, projection)].Gradient, cancellationToken);

    /// <inheritdoc/>
    public override void HeadBackward(WeightMatrix head, AlignedBuffer x, AlignedBuffer logitsGradient, int tokens, CancellationToken cancellationToken)
    {
        string name = _context.Config.TieWordEmbeddings ? TensorNames.Embedding : TensorNames.Head;
        _headGradient.Add(_context.Pool, logitsGradient, x, tokens, head.Rows, head.Columns, _parameters[name].Gradient, cancellationToken);
    }

    /// <inheritdoc/>
    public override AlignedBuffer? GainGradient(int layer, Gain gain) => _parameters[TensorNames.Of(layer, gain)].Gradient;

    /// <summary>Adds the embedding's gradient: that of the residual stream, at the rows of the tokens.</summary>
    /// <param name="ids">The batch's ids, <c>[T]</c>.</param>
    /// <param name="gradient">f32 <c>[T, D]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void EmbeddingBackward(int[] ids, AlignedBuffer gradient, CancellationToken cancellationToken)
    {
        int hidden = _context.Config.HiddenSize;
        AlignedBuffer destination = _parameters[TensorNames.Embedding].Gradient;
        // Columns are split, not tokens: a token that stands twice adds to one row, in the order of the batch.
        _context.ForRows(hidden, ids.Length, (start, end, _) =>
        {
            for (int i = 0; i < ids.Length; i++)
            {
                _context.Operations.Add(destination.Floats(((long)ids[i] * hidden) + start, end - start), gradient.Floats(((long)i * hidden) + start, end - start));
            }
        }, cancellationToken);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _gradient.Dispose();
        _headGradient.Dispose();
    }
}
