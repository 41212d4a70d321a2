using System.Buffers;
using System.Numerics.Tensors;
using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>
/// Σ |w · dL/dw| of every weight, the gradient summed over all samples before its size is taken. A matrix's gradient exists a few rows at a time, on
/// each thread; only the head's, whose logits come in parts, is summed up in full.
/// </summary>
internal sealed class TaylorVisitor : GradientVisitor, IDisposable
{
    private readonly PassContext _context;
    private readonly WeightGradient _gradient;
    private readonly AlignedBuffer _gain;
    private readonly WeightGradient? _headGradient;
    private AlignedBuffer? _head;

    /// <summary>Allocates.</summary>
    /// <param name="context">What the parts of a pass share.</param>
    public TaylorVisitor(PassContext context)
    {
        _context = context;
        int widest = Enum.GetValues<BlockMatrix>().Select(matrix => BlockMatrices.ShapeOf(matrix, context.Config)).Max(shape => Math.Max(shape.Rows, shape.Columns));
        _gradient = new WeightGradient(context.Tier, context.Limits.Tokens, widest, widest);
        _gain = AlignedBuffer.AllocateFloats(context.Config.HiddenSize);
        if (!context.Config.TieWordEmbeddings)
        {
            _headGradient = new WeightGradient(context.Tier, context.Limits.TargetRows, context.Config.VocabSize, context.Config.HiddenSize);
            _head = AlignedBuffer.AllocateFloats((long)context.Config.VocabSize * context.Config.HiddenSize);
        }
    }

    /// <summary>The scores so far, by tensor names.</summary>
    public Dictionary<string, double> Scores { get; } = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override void ProjectBackward(
        int layer, BlockMatrix projection, WeightMatrix matrix, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens,
        CancellationToken cancellationToken)
    {
        double[] sums = new double[matrix.Rows];
        _gradient.Stream(
            _context.Pool, outputGradient, x, tokens, matrix.Rows, matrix.Columns,
            (firstRow, rows, columns) => AddProducts(matrix, firstRow, rows, columns, sums), cancellationToken);
        Scores[TensorNames.Of(layer, projection)] = sums.Sum();
    }

    /// <inheritdoc/>
    public override void HeadBackward(WeightMatrix head, AlignedBuffer x, AlignedBuffer logitsGradient, int tokens, CancellationToken cancellationToken) =>
        // A tied head is the embedding, which has no score.
        _headGradient?.Add(_context.Pool, logitsGradient, x, tokens, head.Rows, head.Columns, _head!, cancellationToken);

    /// <inheritdoc/>
    public override AlignedBuffer? GainGradient(int layer, Gain gain) => _gain;

    /// <inheritdoc/>
    public override void GainAdded(int layer, Gain gain, float[] weights) => TakeGain(TensorNames.Of(layer, gain), weights);

    /// <summary>Scores the gain whose gradient was added last, and makes room for the next one's.</summary>
    /// <param name="name">Its tensor's name.</param>
    /// <param name="gain">Its weights, f32 <c>[D]</c>.</param>
    public void TakeGain(string name, float[] gain)
    {
        Span<float> gradient = _gain.Floats(0, gain.Length);
        TensorPrimitives.Multiply(gradient, gain, gradient);
        Scores[name] = TensorPrimitives.SumOfMagnitudes(gradient);
        gradient.Clear();
    }

    /// <summary>Scores the head, and frees its gradient.</summary>
    /// <param name="head">Its weights.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void TakeHead(WeightMatrix head, CancellationToken cancellationToken)
    {
        if (_head is null)
        {
            return;
        }

        double[] sums = new double[head.Rows];
        _context.ForRows(head.Rows, head.Columns, (start, end, _) =>
            AddProducts(head, start, _head.Floats((long)start * head.Columns, (end - start) * head.Columns), head.Columns, sums), cancellationToken);
        Scores[TensorNames.Head] = sums.Sum();
        _head.Dispose();
        _head = null;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _gradient.Dispose();
        _headGradient?.Dispose();
        _head?.Dispose();
        _gain.Dispose();
    }

    private static void AddProducts(WeightMatrix matrix, int firstRow, Span<float> gradients, int columns, double[] sums)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(columns);
        Span<float> weights = rented.AsSpan(0, columns);
        for (int i = 0; i * columns < gradients.Length; i++)
        {
            Span<float> row = gradients.Slice(i * columns, columns);
            matrix.DequantizeRow(firstRow + i, weights);
            TensorPrimitives.Multiply(row, weights, row);
            sums[firstRow + i] = TensorPrimitives.SumOfMagnitudes<float>(row);
        }

        ArrayPool<float>.Shared.Return(rented);
    }
}
