using Vicuna.Managed.Compression.Backprop;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>Taylor+: one pass forward and back over all samples, a block at a time.</summary>
internal static class TaylorScore
{
    // Logits that exist at a time: [rows, V] f32.
    private const int TargetRows = 256;

    // A block's way back costs as much as three ways forward: it is computed again, and gives two gradients.
    private const double BackwardWork = 3;

    /// <summary>Scores all blocks.</summary>
    public static BlockScores Compute(
        LanguageModel model, IReadOnlyList<TrainingSample> samples, string? progressFile, IProgress<ScoreProgress>? progress, CancellationToken cancellationToken)
    {
        TokenBatch batch = new(samples);
        using DecoderGradient pass = new(PassModel.Of(model), new PassLimits(batch.Ids.Length, samples.Max(sample => sample.Ids.Count), TargetRows), context => new TaylorVisitor(context));
        TaylorVisitor visitor = (TaylorVisitor)pass.Visitor;
        ScoreState state = ScoreState.Open(progressFile, model, ScoreCriterion.Taylor, samples, pass.Gradient);
        foreach ((string name, double score) in state.Scores)
        {
            visitor.Scores[name] = score;
        }

        int layers = model.Config.NumHiddenLayers;
        int next = state.Next ?? layers;
        ScoreClock clock = new(layers * (1 + BackwardWork), progress);
        clock.Skip((layers - next) * (1 + BackwardWork));
        Forward(pass, batch, next, clock, cancellationToken);
        int elements = batch.Ids.Length * model.Config.HiddenSize;
        if (state.Next is null)
        {
            BeginBackward(model, pass, batch, samples, cancellationToken);
            Save(state, visitor, layers, pass, elements);
        }

        for (int layer = next - 1; layer >= 0; layer--)
        {
            pass.Backward(layer, cancellationToken);
            Save(state, visitor, layer, pass, elements);
            clock.Advance("backward", layer, BackwardWork);
        }

        BlockScores scores = BlockSums.Of(ScoreCriterion.Taylor, layers, TensorNames.All(model.Config), visitor.Scores, samples.Count);
        state.Delete();
        return scores;
    }

    // Only the inputs of blocks that are still to be scored.
    private static void Forward(DecoderGradient pass, TokenBatch batch, int next, ScoreClock clock, CancellationToken cancellationToken)
    {
        pass.Begin(batch, cancellationToken);
        int blocks = next == pass.Context.Config.NumHiddenLayers ? next : next - 1;
        for (int layer = 0; layer < blocks; layer++)
        {
            pass.Forward(layer, cancellationToken);
            clock.Advance("forward", layer, 1);
        }
    }

    // The loss is the mean over a sample's predictions; the gradients of all samples add up.
    private static void BeginBackward(
        LanguageModel model, DecoderGradient pass, TokenBatch batch, IReadOnlyList<TrainingSample> samples, CancellationToken cancellationToken)
    {
        TaylorVisitor visitor = (TaylorVisitor)pass.Visitor;
        float[] scales = [.. samples.SelectMany(sample => Enumerable.Repeat(1f / sample.TargetCount, sample.TargetCount))];
        double[] losses = pass.BeginBackward(batch, target => scales[target], cancellationToken);
        Losses.RequireFinite(losses);
        visitor.TakeGain(TensorNames.Of(0, Gain.Final), model.Weights.FinalNorm);
        visitor.TakeHead(model.Weights.Output, cancellationToken);
    }

    private static void Save(ScoreState state, TaylorVisitor visitor, int next, DecoderGradient pass, int elements)
    {
        foreach ((string name, double score) in visitor.Scores)
        {
            state.Scores[name] = score;
        }

        state.Save(next, pass.Gradient, elements);
    }
}
