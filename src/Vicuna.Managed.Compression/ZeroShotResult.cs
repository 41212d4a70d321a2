namespace Vicuna.Managed.Compression;

/// <summary>How well a model answers a task's questions.</summary>
public sealed class ZeroShotResult
{
    internal ZeroShotResult(ZeroShotTask task, IReadOnlyList<ZeroShotScore> scores, int cutItems)
    {
        Task = task.Name;
        Scores = scores;
        CutItems = cutItems;
        BrokenLines = task.BrokenLines;
        Accuracy = scores.Count(score => score.Choice == score.Answer) / (double)scores.Count;
        AccuracyNormalized = scores.Count(score => score.ChoiceNormalized == score.Answer) / (double)scores.Count;
        IsNormalizedReported = task.ReportsNormalized;
    }

    /// <summary>The task's name.</summary>
    public string Task { get; }

    /// <summary>Part of the items whose right choice has the largest sum of log-probabilities, 0 to 1.</summary>
    public double Accuracy { get; }

    /// <summary>Part of the items whose right choice has the largest sum divided by the choice's characters, 0 to 1.</summary>
    public double AccuracyNormalized { get; }

    /// <summary>Standard error of <see cref="Accuracy"/>, as of a sample of questions; 0 for a single item, which tells nothing of it.</summary>
    public double AccuracyStandardError => StandardError(Accuracy);

    /// <summary>Standard error of <see cref="AccuracyNormalized"/>, likewise.</summary>
    public double AccuracyNormalizedStandardError => StandardError(AccuracyNormalized);

    /// <summary>Number of items.</summary>
    public int Items => Scores.Count;

    /// <summary>Items whose context lost its beginning because the model's context does not hold it.</summary>
    public int CutItems { get; }

    /// <summary>Lines of the task's file that were left out.</summary>
    public int BrokenLines { get; }

    /// <summary>Whether <see cref="Reported"/> is the normalized accuracy, <see cref="ZeroShotTask.ReportsNormalized"/>.</summary>
    public bool IsNormalizedReported { get; }

    /// <summary>The accuracy that the Shortened LLaMA paper reports for this kind of task, 0 to 1.</summary>
    public double Reported => IsNormalizedReported ? AccuracyNormalized : Accuracy;

    /// <summary>Every item, in the task's order.</summary>
    public IReadOnlyList<ZeroShotScore> Scores { get; }

    // Of a mean of zeros and ones, with the sample's variance.
    private double StandardError(double accuracy) => Items > 1 ? Math.Sqrt(accuracy * (1 - accuracy) / (Items - 1)) : 0;
}
