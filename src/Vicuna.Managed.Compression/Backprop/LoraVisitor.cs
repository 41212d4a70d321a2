using System.Numerics.Tensors;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// Adapters in training (Hu et al. 2021): y += s · B · A · drop(x), and the gradients of A and B. Nothing is kept between the two: what the gradients need
/// is little, and is made again.
/// </summary>
internal sealed class LoraVisitor : GradientVisitor, IDisposable
{
    private readonly PassContext _context;
    private readonly IReadOnlyDictionary<(int Layer, BlockMatrix Matrix), LoraFactors> _factors;
    private readonly float _scale;
    private readonly double _rate;
    private readonly WeightGradient _gradient;
    private readonly AlignedBuffer _dropped;
    private readonly AlignedBuffer _change;
    private readonly AlignedBuffer _hiddenGradient;
    private readonly AlignedBuffer _hidden;

    /// <summary>Allocates.</summary>
    /// <param name="context">What the parts of a pass share.</param>
    /// <param name="factors">The factors of the projections that have some.</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">s, dimensionless.</param>
    /// <param name="rate">Share of the input that training drops.</param>
    public LoraVisitor(PassContext context, IReadOnlyDictionary<(int Layer, BlockMatrix Matrix), LoraFactors> factors, int rank, float scale, double rate)
    {
        _context = context;
        _factors = factors;
        _scale = scale;
        _rate = rate;
        int tokens = context.Limits.Tokens;
        int widest = Enum.GetValues<BlockMatrix>().Select(matrix => BlockMatrices.ShapeOf(matrix, context.Config)).Max(shape => Math.Max(shape.Rows, shape.Columns));
        _gradient = new WeightGradient(context.Tier, tokens, Math.Max(widest, rank), Math.Max(widest, rank));
        _dropped = AlignedBuffer.AllocateFloats((long)tokens * widest);
        _change = AlignedBuffer.AllocateFloats((long)tokens * widest);
        _hiddenGradient = AlignedBuffer.AllocateFloats((long)tokens * rank);
        _hidden = AlignedBuffer.AllocateFloats((long)tokens * rank);
    }

    /// <summary>What dropout leaves out; null where nothing is dropped.</summary>
    public ulong? DropoutSeed { get; set; }

    /// <inheritdoc/>
    public override void Project(int layer, BlockMatrix projection, AlignedBuffer x, AlignedBuffer y, int tokens, CancellationToken cancellationToken)
    {
        if (!_factors.TryGetValue((layer, projection), out LoraFactors? factors))
        {
            return;
        }

        AlignedBuffer input = Drop(layer, projection, x, _dropped, factors.MatrixA.Columns, tokens, cancellationToken);
        _context.Multiply(factors.MatrixA, input, _hidden, tokens, cancellationToken);  // [T, r]
        _context.Multiply(factors.MatrixB, _hidden, _change, tokens, cancellationToken); // [T, out]
        int rows = factors.MatrixB.Rows;
        _context.ForRows(tokens, rows, (start, end, _) =>
        {
            Span<float> target = y.Floats((long)start * rows, (end - start) * rows);
            TensorPrimitives.MultiplyAdd(_change.Floats((long)start * rows, target.Length), _scale, target, target);
        }, cancellationToken);
    }

    /// <inheritdoc/>
    public override void ProjectBackward(
        int layer, BlockMatrix projection, WeightMatrix matrix, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens,
        CancellationToken cancellationToken)
    {
        if (!_factors.TryGetValue((layer, projection), out LoraFactors? factors))
        {
            return;
        }

        int rank = factors.MatrixA.Rows;
        AlignedBuffer input = Drop(layer, projection, x, _dropped, matrix.Columns, tokens, cancellationToken);
        _context.Multiply(factors.MatrixA, input, _hidden, tokens, cancellationToken);
        Scale(_hidden, tokens * rank);
        _gradient.Add(_context.Pool, outputGradient, _hidden, tokens, matrix.Rows, rank, factors.B.Gradient, cancellationToken);   // dB += s · dyᵀ · h
        _context.MultiplyBackward(factors.MatrixB, outputGradient, _hiddenGradient, tokens, add: false, cancellationToken);        // dh = s · dy · B
        Scale(_hiddenGradient, tokens * rank);
        _gradient.Add(_context.Pool, _hiddenGradient, input, tokens, rank, matrix.Columns, factors.A.Gradient, cancellationToken); // dA += dhᵀ · drop(x)
        AddInputGradient(layer, projection, factors, inputGradient, tokens, cancellationToken);                                    // dx += drop(dh · A)
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _gradient.Dispose();
        _dropped.Dispose();
        _change.Dispose();
        _hiddenGradient.Dispose();
        _hidden.Dispose();
    }

    private void Scale(AlignedBuffer values, int count) => TensorPrimitives.Multiply(values.Floats(0, count), _scale, values.Floats(0, count));

    private void AddInputGradient(
        int layer, BlockMatrix projection, LoraFactors factors, AlignedBuffer inputGradient, int tokens, CancellationToken cancellationToken)
    {
        if (DropoutSeed is null || _rate == 0)
        {
            _context.MultiplyBackward(factors.MatrixA, _hiddenGradient, inputGradient, tokens, add: true, cancellationToken);
            return;
        }

        int columns = factors.MatrixA.Columns;
        _context.MultiplyBackward(factors.MatrixA, _hiddenGradient, _change, tokens, add: false, cancellationToken);
        Drop(layer, projection, _change, _change, columns, tokens, cancellationToken);
        _context.ForRows(tokens, columns, (start, end, _) =>
        {
            Span<float> target = inputGradient.Floats((long)start * columns, (end - start) * columns);
            TensorPrimitives.Add(target, _change.Floats((long)start * columns, target.Length), target);
        }, cancellationToken);
    }

    // Every projection drops other elements of the same input, as PEFT's layers do.
    private AlignedBuffer Drop(int layer, BlockMatrix projection, AlignedBuffer x, AlignedBuffer destination, int columns, int tokens, CancellationToken cancellationToken)
    {
        if (DropoutSeed is not { } seed || _rate == 0)
        {
            return x;
        }

        uint key = (uint)CounterRandom.Mix(unchecked(seed + ((((ulong)layer * 8) + (ulong)projection + 1) * 0x9E3779B97F4A7C15)));
        _context.ForRows(tokens, columns, (start, end, _) =>
        {
            int elements = (end - start) * columns;
            Dropout.Apply(x.Floats((long)start * columns, elements), destination.Floats((long)start * columns, elements), key, (uint)start * (uint)columns, _rate);
        }, cancellationToken);
        return destination;
    }
}
