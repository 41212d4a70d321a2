using System.Numerics.Tensors;
using Vicuna.Managed.Compression.Backprop;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>Block influence: 1 minus the mean over all tokens of the cosine between the stream before and after a block.</summary>
internal static class InfluenceScore
{
    /// <summary>Scores all blocks.</summary>
    public static BlockScores Compute(
        LanguageModel model, IReadOnlyList<TrainingSample> samples, IProgress<ScoreProgress>? progress, CancellationToken cancellationToken)
    {
        TokenBatch batch = new(samples);
        int layers = model.Config.NumHiddenLayers;
        using DecoderGradient pass = new(PassModel.Of(model), new PassLimits(batch.Ids.Length, samples.Max(sample => sample.Ids.Count), 1), _ => new GradientVisitor());
        ScoreClock clock = new(layers, progress);
        double[] scores = new double[layers];
        pass.Begin(batch, cancellationToken);
        for (int layer = 0; layer < layers; layer++)
        {
            pass.Forward(layer, cancellationToken);
            scores[layer] = 1 - MeanCosine(pass, layer, batch.Ids.Length);
            if (!double.IsFinite(scores[layer]))
            {
                throw new NonFiniteLogitsException($"Block {layer}: expected finite activations, found others; the model's weights or a sample are damaged.");
            }

            clock.Advance("forward", layer, 1);
        }

        return new BlockScores(ScoreCriterion.BlockInfluence, scores) { Samples = samples.Count };
    }

    private static double MeanCosine(DecoderGradient pass, int layer, int tokens)
    {
        int hidden = pass.Context.Config.HiddenSize;
        double sum = 0;
        for (int token = 0; token < tokens; token++)
        {
            ReadOnlySpan<float> before = pass.InputOf(layer).Floats((long)token * hidden, hidden);
            ReadOnlySpan<float> after = pass.InputOf(layer + 1).Floats((long)token * hidden, hidden);
            double norms = Math.Sqrt((double)TensorPrimitives.SumOfSquares(before) * TensorPrimitives.SumOfSquares(after));
            // A token without any size has no direction to turn.
            sum += norms == 0 ? 1 : TensorPrimitives.Dot(before, after) / norms;
        }

        return sum / tokens;
    }
}
