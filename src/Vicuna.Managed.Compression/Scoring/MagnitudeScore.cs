using System.Buffers;
using System.Numerics.Tensors;
using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>Σ |w| of every weight.</summary>
internal static class MagnitudeScore
{
    /// <summary>Scores all blocks.</summary>
    public static BlockScores Compute(LanguageModel model, IProgress<ScoreProgress>? progress, CancellationToken cancellationToken)
    {
        using PassContext context = new(PassModel.Of(model), new PassLimits(1, 1, 1));
        Dictionary<string, double> scores = new(StringComparer.Ordinal);
        ScoreClock clock = new(context.Config.NumHiddenLayers, progress);
        for (int layer = 0; layer < context.Config.NumHiddenLayers; layer++)
        {
            BlockWeights block = context.Weights.Blocks[layer];
            foreach (BlockMatrix projection in Enum.GetValues<BlockMatrix>())
            {
                scores[TensorNames.Of(layer, projection)] = Sum(context, TensorNames.MatrixOf(block, projection), cancellationToken);
            }

            scores[TensorNames.Of(layer, Gain.Attention)] = TensorPrimitives.SumOfMagnitudes<float>(block.AttentionNorm);
            scores[TensorNames.Of(layer, Gain.FeedForward)] = TensorPrimitives.SumOfMagnitudes<float>(block.FeedForwardNorm);
            clock.Advance("weights", layer, 1);
        }

        scores[TensorNames.Of(0, Gain.Final)] = TensorPrimitives.SumOfMagnitudes<float>(context.Weights.FinalNorm);
        if (!context.Config.TieWordEmbeddings)
        {
            scores[TensorNames.Head] = Sum(context, context.Weights.Output, cancellationToken);
        }

        return BlockSums.Of(ScoreCriterion.Magnitude, context.Config.NumHiddenLayers, TensorNames.All(context.Config), scores, samples: null);
    }

    private static double Sum(PassContext context, WeightMatrix matrix, CancellationToken cancellationToken)
    {
        double[] sums = new double[matrix.Rows];
        context.ForRows(matrix.Rows, matrix.Columns, (start, end, _) =>
        {
            float[] row = ArrayPool<float>.Shared.Rent(matrix.Columns);
            for (int i = start; i < end; i++)
            {
                matrix.DequantizeRow(i, row.AsSpan(0, matrix.Columns));
                sums[i] = TensorPrimitives.SumOfMagnitudes<float>(row.AsSpan(0, matrix.Columns));
            }

            ArrayPool<float>.Shared.Return(row);
        }, cancellationToken);
        return sums.Sum();
    }
}
