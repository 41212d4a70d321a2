using System.Globalization;
using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>The perplexity without each block. What comes before a block is computed once: the stream that enters it enters the next one instead.</summary>
internal static class RemovalScore
{
    private const int TargetRows = 256;

    /// <summary>Scores all blocks.</summary>
    public static BlockScores Compute(
        LanguageModel model, IReadOnlyList<TrainingSample> samples, string? progressFile, IProgress<ScoreProgress>? progress, CancellationToken cancellationToken)
    {
        TokenBatch batch = new(samples);
        int layers = model.Config.NumHiddenLayers;
        using DecoderGradient pass = new(PassModel.Of(model), new PassLimits(batch.Ids.Length, samples.Max(sample => sample.Ids.Count), TargetRows), _ => new GradientVisitor());
        ScoreState state = ScoreState.Open(progressFile, model, ScoreCriterion.Perplexity, samples, gradient: null);
        ScoreClock clock = new(layers + (layers * (layers - 1) / 2.0), progress);
        for (int block = 0; block < (state.Next ?? 0); block++)
        {
            clock.Skip(layers - 1 - block);
        }

        pass.Begin(batch, cancellationToken);
        for (int layer = 0; layer < layers - 1; layer++)
        {
            pass.Forward(layer, cancellationToken);
            clock.Advance("forward", layer, 1);
        }

        double[] perplexities = new double[layers];
        for (int removed = 0; removed < layers; removed++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"{removed}");
            if (!state.Scores.TryGetValue(name, out perplexities[removed]))
            {
                perplexities[removed] = Without(pass, batch, removed, cancellationToken);
                state.Scores[name] = perplexities[removed];
                state.Save(removed + 1, gradient: null, 0);
                clock.Advance("without block", removed, layers - 1 - removed);
            }
        }

        long blockParameters = model.Config.ParameterCount - (model.Config with { NumHiddenLayers = layers - 1 }).ParameterCount;
        state.Delete();
        return new BlockScores(ScoreCriterion.Perplexity, perplexities) { Samples = samples.Count, ParametersWithoutOne = model.Config.ParameterCount - blockParameters };
    }

    private static double Without(DecoderGradient pass, TokenBatch batch, int removed, CancellationToken cancellationToken)
    {
        int elements = batch.Ids.Length * pass.Context.Config.HiddenSize;
        AlignedBuffer stream = pass.Gradient; // nothing else lies there: there is no backward pass
        pass.InputOf(removed).Floats(0, elements).CopyTo(stream.Floats(0, elements));
        for (int layer = removed + 1; layer < pass.Context.Config.NumHiddenLayers; layer++)
        {
            pass.Forward(layer, stream, cancellationToken);
        }

        double[] losses = pass.Loss(batch, stream, cancellationToken);
        Losses.RequireFinite(losses);
        return Losses.Perplexity(losses);
    }
}
