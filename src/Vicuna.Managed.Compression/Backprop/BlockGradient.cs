using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// One Transformer block over whole sequences, forward and back: the mirror of <see cref="Decoder"/>. The backward pass computes the block again from its
/// input, so that nothing but the blocks' inputs has to be kept.
/// </summary>
internal sealed class BlockGradient(PassContext context, GradientVisitor visitor) : IDisposable
{
    private readonly BlockBuffers _b = new(context.Config, context.Limits.Tokens);

    private delegate void HeadWork(TokenRun run, int head, Span<float> scratch);

    private int Hidden => context.Config.HiddenSize;

    private int Heads => context.Config.NumAttentionHeads;

    private int GroupSize => context.Config.NumAttentionHeads / context.Config.NumKeyValueHeads;

    /// <summary>Runs the block.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="input">f32 <c>[T, D]</c>.</param>
    /// <param name="output">f32 <c>[T, D]</c>; may be the input itself.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Forward(int layer, AlignedBuffer input, AlignedBuffer output, CancellationToken cancellationToken)
    {
        ComputeUpToDown(layer, input, cancellationToken);
        Project(layer, BlockMatrix.Down, _b.Activated, _b.Branch, cancellationToken); // [T, D]
        Sum(_b.Middle, _b.Branch, output, cancellationToken);
    }

    /// <summary>Turns the gradient of the block's output into that of its input, in place, and shows the weights' gradients to the visitor.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="input">The block's input, f32 <c>[T, D]</c>.</param>
    /// <param name="gradient">f32 <c>[T, D]</c>.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Backward(int layer, AlignedBuffer input, AlignedBuffer gradient, CancellationToken cancellationToken)
    {
        BlockWeights block = context.Weights.Blocks[layer];
        ComputeUpToDown(layer, input, cancellationToken);

        ProjectBackward(layer, BlockMatrix.Down, _b.Activated, gradient, _b.ActivatedGradient, add: false, cancellationToken); // [T, F]
        context.ForRows(context.Tokens, context.Config.IntermediateSize, (start, end, _) =>
            context.Operations.SwiGluBackward(
                Rows(_b.Gate, start, end, context.Config.IntermediateSize),
                Rows(_b.Up, start, end, context.Config.IntermediateSize),
                Rows(_b.ActivatedGradient, start, end, context.Config.IntermediateSize)), cancellationToken);
        ProjectBackward(layer, BlockMatrix.Gate, _b.FeedForwardNormed, _b.Gate, _b.NormedGradient, add: false, cancellationToken); // [T, D]
        ProjectBackward(layer, BlockMatrix.Up, _b.FeedForwardNormed, _b.Up, _b.NormedGradient, add: true, cancellationToken);
        NormBackward(layer, Gain.FeedForward, _b.Middle, block.FeedForwardNorm, gradient, cancellationToken);

        ProjectBackward(layer, BlockMatrix.Output, _b.Attended, gradient, _b.AttendedGradient, add: false, cancellationToken); // [T, H·dh]
        AttendBackward(cancellationToken);
        ProjectBackward(layer, BlockMatrix.Query, _b.AttentionNormed, _b.QueryGradient, _b.NormedGradient, add: false, cancellationToken); // [T, D]
        ProjectBackward(layer, BlockMatrix.Key, _b.AttentionNormed, _b.KeyGradient, _b.NormedGradient, add: true, cancellationToken);
        ProjectBackward(layer, BlockMatrix.Value, _b.AttentionNormed, _b.ValueGradient, _b.NormedGradient, add: true, cancellationToken);
        NormBackward(layer, Gain.Attention, input, block.AttentionNorm, gradient, cancellationToken);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _b.Dispose();

    private static Span<float> Rows(AlignedBuffer buffer, int start, int end, int width) => buffer.Floats((long)start * width, checked((end - start) * width));

    // All of the block but its last projection, whose output the backward pass has no use for.
    private void ComputeUpToDown(int layer, AlignedBuffer input, CancellationToken cancellationToken)
    {
        BlockWeights block = context.Weights.Blocks[layer];
        Normalize(input, block.AttentionNorm, _b.AttentionNormed, cancellationToken);
        Project(layer, BlockMatrix.Query, _b.AttentionNormed, _b.Queries, cancellationToken);
        Project(layer, BlockMatrix.Key, _b.AttentionNormed, _b.Keys, cancellationToken);
        Project(layer, BlockMatrix.Value, _b.AttentionNormed, _b.Values, cancellationToken);
        Attend(cancellationToken);                                                     // [T, H·dh]
        Project(layer, BlockMatrix.Output, _b.Attended, _b.Branch, cancellationToken);  // [T, D]
        Sum(input, _b.Branch, _b.Middle, cancellationToken);

        Normalize(_b.Middle, block.FeedForwardNorm, _b.FeedForwardNormed, cancellationToken);
        Project(layer, BlockMatrix.Gate, _b.FeedForwardNormed, _b.Gate, cancellationToken); // [T, F]
        Project(layer, BlockMatrix.Up, _b.FeedForwardNormed, _b.Up, cancellationToken);
        int width = context.Config.IntermediateSize;
        context.ForRows(context.Tokens, width, (start, end, _) =>
            context.Operations.SwiGlu(Rows(_b.Gate, start, end, width), Rows(_b.Up, start, end, width), Rows(_b.Activated, start, end, width)), cancellationToken);
    }

    private void Project(int layer, BlockMatrix projection, AlignedBuffer x, AlignedBuffer y, CancellationToken cancellationToken)
    {
        BlockWeights block = context.Weights.Blocks[layer];
        WeightMatrix matrix = TensorNames.MatrixOf(block, projection);
        context.Multiply(matrix, x, y, context.Tokens, cancellationToken);
        float[] bias = TensorNames.BiasOf(block, projection);
        if (bias.Length > 0)
        {
            context.ForRows(context.Tokens, matrix.Rows, (start, end, _) => context.Operations.AddBias(Rows(y, start, end, matrix.Rows), bias), cancellationToken);
        }

        visitor.Project(layer, projection, x, y, context.Tokens, cancellationToken);
    }

    private void ProjectBackward(
        int layer, BlockMatrix projection, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, bool add, CancellationToken cancellationToken)
    {
        WeightMatrix matrix = TensorNames.MatrixOf(context.Weights.Blocks[layer], projection);
        context.MultiplyBackward(matrix, outputGradient, inputGradient, context.Tokens, add, cancellationToken);
        visitor.ProjectBackward(layer, projection, matrix, x, outputGradient, inputGradient, context.Tokens, cancellationToken);
    }

    private void Normalize(AlignedBuffer x, float[] gain, AlignedBuffer destination, CancellationToken cancellationToken) =>
        context.ForRows(context.Tokens, Hidden, (start, end, _) =>
            context.Operations.RmsNorm(Rows(x, start, end, Hidden), gain, context.Config.RmsNormEps, Rows(destination, start, end, Hidden)), cancellationToken);

    // The gradient of the residual stream takes in that of the normalized branch.
    private void NormBackward(int layer, Gain gain, AlignedBuffer x, float[] weights, AlignedBuffer gradient, CancellationToken cancellationToken)
    {
        context.ForRows(context.Tokens, Hidden, (start, end, scratch) =>
            context.Operations.RmsNormBackward(
                Rows(x, start, end, Hidden), weights, context.Config.RmsNormEps, Rows(_b.NormedGradient, start, end, Hidden), Rows(gradient, start, end, Hidden),
                Rows(_b.Scales, start, end, 1), scratch), cancellationToken);
        if (visitor.GainGradient(layer, gain) is { } destination)
        {
            GainGradients.Add(context, x, _b.NormedGradient, _b.Scales, context.Tokens, destination, cancellationToken);
            visitor.GainAdded(layer, gain, weights);
        }
    }

    private void Sum(AlignedBuffer x, AlignedBuffer y, AlignedBuffer destination, CancellationToken cancellationToken) =>
        context.ForRows(context.Tokens, Hidden, (start, end, _) =>
            System.Numerics.Tensors.TensorPrimitives.Add(Rows(x, start, end, Hidden), Rows(y, start, end, Hidden), Rows(destination, start, end, Hidden)), cancellationToken);

    private void Rotate(AlignedBuffer x, int heads, AlignedBuffer sines, CancellationToken cancellationToken)
    {
        int d = context.Config.HeadDim;
        context.ForRows(context.Tokens, heads * d, (start, end, _) =>
            context.Operations.Rotate(
                Rows(x, start, end, heads * d), Rows(context.Cosines, start, end, d / 2), Rows(sines, start, end, d / 2), end - start, heads, d, context.Weights.RopeStyle),
            cancellationToken);
    }

    private void Attend(CancellationToken cancellationToken)
    {
        Rotate(_b.Queries, context.Config.NumAttentionHeads, context.Sines, cancellationToken);
        Rotate(_b.Keys, context.Config.NumKeyValueHeads, context.Sines, cancellationToken);
        ForHeads((run, head, scratch) => context.Operations.AttendSequence(HeadOf(run, head), Slice(_b.Attended, run, head, Heads), scratch), cancellationToken);
    }

    private void AttendBackward(CancellationToken cancellationToken)
    {
        int width = Heads * context.Config.HeadDim;
        foreach (AlignedBuffer buffer in (AlignedBuffer[])[_b.QueryGradient, _b.KeyGradientOfHeads, _b.ValueGradientOfHeads])
        {
            context.ForRows(context.Tokens, width, (start, end, _) => Rows(buffer, start, end, width).Clear(), cancellationToken);
        }

        ForHeads((run, head, scratch) => context.Operations.AttendSequenceBackward(
            HeadOf(run, head), Slice(_b.AttendedGradient, run, head, Heads), Slice(_b.QueryGradient, run, head, Heads),
            Slice(_b.KeyGradientOfHeads, run, head, Heads), Slice(_b.ValueGradientOfHeads, run, head, Heads), scratch), cancellationToken);
        SumGroups(_b.KeyGradientOfHeads, _b.KeyGradient, cancellationToken);
        SumGroups(_b.ValueGradientOfHeads, _b.ValueGradient, cancellationToken);
        Rotate(_b.QueryGradient, Heads, context.NegatedSines, cancellationToken);
        Rotate(_b.KeyGradient, context.Config.NumKeyValueHeads, context.NegatedSines, cancellationToken);
    }

    private void ForHeads(HeadWork work, CancellationToken cancellationToken) =>
        context.ForRows(context.Runs.Length * Heads, int.MaxValue, (start, end, scratch) =>
        {
            for (int i = start; i < end; i++)
            {
                work(context.Runs[i / Heads], i % Heads, scratch);
            }
        }, cancellationToken);

    // From a head's first element in the run's first token to its last element in the last token.
    private Span<float> Slice(AlignedBuffer buffer, TokenRun run, int head, int heads)
    {
        int d = context.Config.HeadDim;
        return buffer.Floats((((long)run.Start * heads) + head) * d, checked(((((run.Length - 1) * heads) + 1) * d)));
    }

    private SequenceHead HeadOf(TokenRun run, int head)
    {
        int keyHeads = context.Config.NumKeyValueHeads;
        return new SequenceHead
        {
            Queries = Slice(_b.Queries, run, head, Heads),
            Keys = Slice(_b.Keys, run, head / GroupSize, keyHeads),
            Values = Slice(_b.Values, run, head / GroupSize, keyHeads),
            QueryStride = Heads * context.Config.HeadDim,
            KeyStride = keyHeads * context.Config.HeadDim,
            Length = run.Length,
            HeadDim = context.Config.HeadDim,
            Scale = (float)(1 / Math.Sqrt(context.Config.HeadDim)),
            Window = context.Config.SlidingWindow ?? int.MaxValue,
        };
    }

    // Query heads that share keys add up in their order.
    private void SumGroups(AlignedBuffer ofHeads, AlignedBuffer sums, CancellationToken cancellationToken)
    {
        if (GroupSize == 1)
        {
            return;
        }

        int d = context.Config.HeadDim;
        int keyHeads = context.Config.NumKeyValueHeads;
        context.ForRows(context.Tokens, Heads * d, (start, end, _) =>
        {
            for (int i = start * keyHeads; i < end * keyHeads; i++)
            {
                Span<float> sum = sums.Floats((long)i * d, d);
                ofHeads.Floats((long)i * GroupSize * d, d).CopyTo(sum);
                for (int member = 1; member < GroupSize; member++)
                {
                    context.Operations.Add(sum, ofHeads.Floats((((long)i * GroupSize) + member) * d, d));
                }
            }
        }, cancellationToken);
    }
}
