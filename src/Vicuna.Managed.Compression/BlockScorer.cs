using Vicuna.Managed.Compression.Scoring;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Measures how important every block of a model is, by the criteria of Shortened LLaMA (Kim et al. 2024, arXiv 2402.02834) and by block influence (Men et
/// al. 2024, ShortGPT, arXiv 2403.03853). The model is read where it lies: no copy of it is made.
/// </summary>
public static class BlockScorer
{
    /// <summary>Scores all blocks.</summary>
    /// <param name="model">The model; other work on it may go on meanwhile.</param>
    /// <param name="criterion">What to measure.</param>
    /// <param name="samples">
    /// Sequences of token ids to measure on, each of two or more; every token but the first is predicted. Taylor takes memory for all of them together:
    /// (blocks + 30) · tokens · hidden · 4 bytes, roughly. <see cref="ScoreCriterion.Magnitude"/> needs none.
    /// </param>
    /// <param name="options">How to work; null for the defaults.</param>
    /// <param name="progress">Hears of every block; called from the calling thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work; what is finished stays in <see cref="ScoreOptions.ProgressFile"/>.</param>
    /// <returns>The scores; of Taylor and magnitude those of single weights too.</returns>
    /// <exception cref="ArgumentException">There are no samples, one is shorter than two tokens or longer than the context, or an id is not in the vocabulary.</exception>
    /// <exception cref="ModelFormatException">The progress file is damaged, or belongs to another run.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's loss is not a number.</exception>
    /// <exception cref="IOException">The progress file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public static BlockScores Score(
        LanguageModel model, ScoreCriterion criterion, IReadOnlyList<IReadOnlyList<int>> samples, ScoreOptions? options = null,
        IProgress<ScoreProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(samples);
        if (!Enum.IsDefined(criterion))
        {
            throw new ArgumentOutOfRangeException(nameof(criterion), criterion, "Not a criterion.");
        }

        TrainingSample[] checkedSamples = criterion == ScoreCriterion.Magnitude ? [] : CheckSamples(model, samples);
        string? file = options?.ProgressFile;
        return criterion switch
        {
            ScoreCriterion.Magnitude => MagnitudeScore.Compute(model, progress, cancellationToken),
            ScoreCriterion.Taylor => TaylorScore.Compute(model, checkedSamples, file, progress, cancellationToken),
            ScoreCriterion.Perplexity => RemovalScore.Compute(model, checkedSamples, file, progress, cancellationToken),
            _ => InfluenceScore.Compute(model, checkedSamples, progress, cancellationToken),
        };
    }

    private static TrainingSample[] CheckSamples(LanguageModel model, IReadOnlyList<IReadOnlyList<int>> samples)
    {
        if (samples.Count == 0)
        {
            throw new ArgumentException("Expected one or more samples, found none.", nameof(samples));
        }

        for (int i = 0; i < samples.Count; i++)
        {
            IReadOnlyList<int> ids = samples[i] ?? throw new ArgumentNullException(nameof(samples));
            if (ids.Count < 2 || ids.Count > model.ContextLength)
            {
                throw new ArgumentException($"Sample {i}: expected 2 to {model.ContextLength} tokens, found {ids.Count}.", nameof(samples));
            }

            foreach (int id in ids)
            {
                if (id < 0 || id >= model.Config.VocabSize)
                {
                    throw new ArgumentOutOfRangeException(nameof(samples), id, $"Sample {i}: expected token ids 0 to {model.Config.VocabSize - 1}, found {id}.");
                }
            }
        }

        return [.. samples.Select(ids => new TrainingSample(ids, promptTokens: 1))];
    }
}
