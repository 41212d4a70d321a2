using Vicuna.Managed.Compression.Evaluation;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Measures how well a model answers questions that it has not been trained on, by the probabilities that it gives to the answers; the procedure, and so the
/// numbers, are those of EleutherAI's lm-evaluation-harness without examples. See <see cref="ZeroShotTask"/> for what the model sees.
/// </summary>
public static class ZeroShotEvaluation
{
    // Keys and values of the items that are scored together: enough to fill a pass, little beside the weights.
    private const long MaxGroupBytes = 512L << 20;

    /// <summary>
    /// Scores a task. A context is run once for all its choices, and items are run together as far as a pass and 512 MiB of keys and values hold
    /// them. The result depends neither on that nor on the number of threads.
    /// </summary>
    /// <param name="model">The model; it needs its tokenizer.</param>
    /// <param name="task">The questions.</param>
    /// <param name="progress">Hears the number of items done; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The accuracies, and every item's score.</returns>
    /// <exception cref="ModelFormatException">The model has no tokenizer that the library reads, or a choice has no tokens.</exception>
    /// <exception cref="ContextLengthExceededException">A choice alone does not fit the context.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public static ZeroShotResult Run(LanguageModel model, ZeroShotTask task, IProgress<int>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(task);
        FeedRunner runner = new(model.Decoder);
        List<ZeroShotScore> scores = new(task.Items.Count);
        int cut = 0;
        ScoredItem? next = Prepare(model, task, 0);
        while (next is not null)
        {
            List<ScoredItem> group = [];
            try
            {
                long bytes = 0;
                int tokens = 0;
                do
                {
                    group.Add(next);
                    bytes += next.MemoryBytes;
                    tokens += next.Tokens;
                    next = Prepare(model, task, scores.Count + group.Count);
                }
                while (next is not null && tokens + next.Tokens <= model.TokensPerPass && bytes + next.MemoryBytes <= MaxGroupBytes);

                runner.Run([.. group.SelectMany(item => item.Beginning())], cancellationToken);
                runner.Run([.. group.SelectMany(item => item.Choices())], cancellationToken);
                foreach (ScoredItem item in group)
                {
                    cut += item.IsCut ? 1 : 0;
                    scores.Add(Score(task.Items[scores.Count], item.Sums));
                }
            }
            finally
            {
                group.ForEach(item => item.Dispose());
            }

            progress?.Report(scores.Count);
        }

        return new ZeroShotResult(task, scores, cut);
    }

    private static ScoredItem? Prepare(LanguageModel model, ZeroShotTask task, int index)
    {
        if (index == task.Items.Count)
        {
            return null;
        }

        List<ChoiceRequest> requests = [];
        foreach (ZeroShotChoice choice in task.Items[index].Choices)
        {
            requests.Add(ChoiceRequest.Encode(model.Tokenizer, choice.Context, choice.Continuation, model.ContextLength)
                ?? throw new ModelFormatException(task.Name, "expected choices of one or more tokens, found one of none", $"item {index}"));
            foreach (int id in requests[^1].Ids)
            {
                OptionsResolver.CheckToken(id, model.Config.VocabSize, nameof(model));
            }
        }

        return new ScoredItem(requests, model.Decoder.CacheShape);
    }

    private static ZeroShotScore Score(ZeroShotItem item, double[] sums)
    {
        if (!sums.All(double.IsFinite))
        {
            throw new NonFiniteLogitsException("The logits hold NaN or infinity: the weights or the input are damaged.");
        }

        double[] normalized = [.. sums.Zip(item.Choices, (sum, choice) => choice.Characters > 0 ? sum / choice.Characters : double.NegativeInfinity)];
        return new ZeroShotScore(sums, Largest(sums), Largest(normalized), item.Answer);
    }

    // The first of equals.
    private static int Largest(double[] values) => Array.IndexOf(values, values.Max());
}
