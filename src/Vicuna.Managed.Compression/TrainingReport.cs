namespace Vicuna.Managed.Compression;

/// <summary>How a training went, from its first step on, whichever process did it.</summary>
public sealed record TrainingReport
{
    /// <summary>Mean loss of every step's targets before the step changed the weights, in nats, <c>[steps]</c>.</summary>
    public required IReadOnlyList<double> Losses { get; init; }

    /// <summary>Learning rate of every step, dimensionless, <c>[steps]</c>.</summary>
    public required IReadOnlyList<double> LearningRates { get; init; }

    /// <summary>Euclidean norm of every step's gradient before it was clipped, dimensionless, <c>[steps]</c>.</summary>
    public required IReadOnlyList<double> GradientNorms { get; init; }

    /// <summary>The measurements on the held-out samples, in order; none without such samples.</summary>
    public required IReadOnlyList<ValidationLoss> Validations { get; init; }

    /// <summary>Steps after which the weights were as they are kept: where the held-out samples' loss was lowest; without such samples the last.</summary>
    public required int BestStep { get; init; }

    /// <summary>Samples that were learned from.</summary>
    public required int TrainingSamples { get; init; }

    /// <summary>Samples that were held out.</summary>
    public required int ValidationSamples { get; init; }

    /// <summary>Steps that had been done when this call began: 0, or where it resumed.</summary>
    public required int ResumedAtStep { get; init; }

    /// <summary>Whether nothing was left to be done when this call began.</summary>
    public required bool WasFinished { get; init; }

    /// <summary>How long this call took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Steps in all.</summary>
    public int Steps => Losses.Count;
}
