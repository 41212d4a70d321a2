namespace Vicuna.Managed.Compression;

/// <summary>What was measured of one model.</summary>
public sealed record ModelReportRow
{
    /// <summary>What the model is called: parent, shortened, healed.</summary>
    public required string Name { get; init; }

    /// <summary>Number of weights.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of decoder blocks.</summary>
    public required int Blocks { get; init; }

    /// <summary>Perplexities by corpus.</summary>
    public IReadOnlyList<ModelReportValue> Perplexities { get; init; } = [];

    /// <summary>Accuracies by task, 0 to 1.</summary>
    public IReadOnlyList<ModelReportValue> Accuracies { get; init; } = [];

    /// <summary>Tokens per second, where that was measured.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>Makes the row of a model.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="model">The model.</param>
    /// <param name="perplexities">Perplexities by corpus.</param>
    /// <param name="tasks">Results of tasks: each gives <see cref="AccuracyOf"/>.</param>
    /// <returns>The row.</returns>
    public static ModelReportRow Of(string name, LanguageModel model, IEnumerable<ModelReportValue> perplexities, IEnumerable<ZeroShotResult> tasks)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new ModelReportRow
        {
            Name = name,
            Parameters = model.Info.ParameterCount,
            Blocks = model.Config.NumHiddenLayers,
            Perplexities = [.. perplexities],
            Accuracies = [.. tasks.Select(AccuracyOf)],
        };
    }

    /// <summary>The accuracy of a task that the Shortened LLaMA paper reports, named <c>{task} acc</c> or <c>{task} acc_norm</c>.</summary>
    /// <param name="task">The task's result.</param>
    public static ModelReportValue AccuracyOf(ZeroShotResult task)
    {
        ArgumentNullException.ThrowIfNull(task);
        return new ModelReportValue($"{task.Task} {(task.IsNormalizedReported ? "acc_norm" : "acc")}", task.Reported);
    }
}
