using System.Globalization;

namespace Vicuna.Managed.Compression;

/// <summary>
/// How a model is trained. The defaults are those of "Shortened LLaMA" (Kim et al. 2024) for retraining; they are meant for some 50,000 samples.
/// The same options, data and model give the same bits, on any number of threads and however often the training was interrupted and resumed.
/// </summary>
public record TrainingOptions
{
    /// <summary>How often all samples are seen, 1 or more.</summary>
    public int Epochs { get; init; } = 2;

    /// <summary>The highest learning rate, dimensionless, above 0.</summary>
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>How the learning rate goes after the warm-up.</summary>
    public LearningRateSchedule Schedule { get; init; } = LearningRateSchedule.Linear;

    /// <summary>Steps in which the learning rate rises from 0; 0 = none. With fewer steps in all it never arrives.</summary>
    public int WarmupSteps { get; init; } = 100;

    /// <summary>Samples of a step, 1 or more. The last step of an epoch takes what is left.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Samples that are computed at a time, 1 or more: it decides how much memory is taken, and the order in which gradients are summed up.</summary>
    public int MicroBatchSize { get; init; } = 4;

    /// <summary>Longest gradient, dimensionless, 0 or more: a longer one is shortened to it; 0 = any.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>Decay of the gradient's mean, dimensionless, 0 to below 1.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the squared gradient's mean, dimensionless, 0 to below 1.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>ε under the update, dimensionless, above 0.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Share of a matrix that a step of learning rate 1 would take away, dimensionless, 0 or more. Vectors (norms) do not decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Key of all random numbers: which samples are held out, their order, dropout, and how new weights begin.</summary>
    public long Seed { get; init; }

    /// <summary>Samples that are held out to measure with, 0 or more; never more than a tenth of all.</summary>
    public int ValidationSamples { get; init; } = 2000;

    /// <summary>Whether the loss on the held-out samples is measured before the first step too: training that does not help is undone then.</summary>
    public bool EvaluateBefore { get; init; } = true;

    /// <summary>After so many steps the loss on the held-out samples is measured, 1 or more; always after the last.</summary>
    public int EvaluateEvery { get; init; } = 200;

    /// <summary>After so many steps the state is saved, 1 or more.</summary>
    public int CheckpointEvery { get; init; } = 20;

    /// <summary>After so long the state is saved too, at the end of the step under way; above 0.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Whether to go on from the state that is in the folder. Without a state training begins; one of other options or data is refused.</summary>
    public bool Resume { get; init; }

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is out of range.</exception>
    internal virtual void Check()
    {
        Require(Epochs is >= 1 and <= 100_000, nameof(Epochs), Epochs, "1 to 100,000");
        Require(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), LearningRate, "a number above 0");
        Require(Enum.IsDefined(Schedule), nameof(Schedule), Schedule, "a known schedule");
        Require(WarmupSteps >= 0, nameof(WarmupSteps), WarmupSteps, "0 or more");
        Require(BatchSize >= 1, nameof(BatchSize), BatchSize, "1 or more");
        Require(MicroBatchSize >= 1, nameof(MicroBatchSize), MicroBatchSize, "1 or more");
        Require(ClipNorm >= 0 && double.IsFinite(ClipNorm), nameof(ClipNorm), ClipNorm, "a number of 0 or more");
        Require(Beta1 is >= 0 and < 1, nameof(Beta1), Beta1, "0 to below 1");
        Require(Beta2 is >= 0 and < 1, nameof(Beta2), Beta2, "0 to below 1");
        Require(Epsilon > 0 && double.IsFinite(Epsilon), nameof(Epsilon), Epsilon, "a number above 0");
        Require(WeightDecay >= 0 && double.IsFinite(WeightDecay), nameof(WeightDecay), WeightDecay, "a number of 0 or more");
        Require(ValidationSamples >= 0, nameof(ValidationSamples), ValidationSamples, "0 or more");
        Require(EvaluateEvery >= 1, nameof(EvaluateEvery), EvaluateEvery, "1 or more");
        Require(CheckpointEvery >= 1, nameof(CheckpointEvery), CheckpointEvery, "1 or more");
        Require(CheckpointInterval > TimeSpan.Zero, nameof(CheckpointInterval), CheckpointInterval, "a time above 0");
    }

    /// <summary>Every option that changes what comes out, by name: a saved state tells by them whether it belongs to a run.</summary>
    internal virtual SortedDictionary<string, string> Settings() => new(StringComparer.Ordinal)
    {
        ["epochs"] = Text(Epochs),
        ["learning rate"] = Text(LearningRate),
        ["schedule"] = Schedule.ToString(),
        ["warm-up steps"] = Text(WarmupSteps),
        ["batch size"] = Text(BatchSize),
        ["micro-batch size"] = Text(MicroBatchSize),
        ["clip norm"] = Text(ClipNorm),
        ["beta 1"] = Text(Beta1),
        ["beta 2"] = Text(Beta2),
        ["epsilon"] = Text(Epsilon),
        ["weight decay"] = Text(WeightDecay),
        ["seed"] = Text(Seed),
        ["validation samples"] = Text(ValidationSamples),
        ["evaluate before"] = EvaluateBefore ? "yes" : "no",
        ["evaluate every"] = Text(EvaluateEvery),
    };

    /// <summary>Throws unless a condition holds.</summary>
    private protected static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentOutOfRangeException(name, string.Create(CultureInfo.InvariantCulture, $"{name}: expected {expected}, found {value}."));
        }
    }

    /// <summary>A number with as many digits as tell it from the next.</summary>
    private protected static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
