namespace Vicuna.Managed.Compression;

/// <summary>How far a training is: reported after every step, and while the held-out samples are measured.</summary>
public sealed record TrainingProgress
{
    /// <summary>What has just been done.</summary>
    public required TrainingStage Stage { get; init; }

    /// <summary>Steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Steps in all.</summary>
    public required int Steps { get; init; }

    /// <summary>The epoch that the last step belongs to, from 1; before the first step 1 too.</summary>
    public required int Epoch { get; init; }

    /// <summary>Mean loss of the last step's targets before it changed the weights, in nats; 0 before the first step.</summary>
    public double Loss { get; init; }

    /// <summary>The last step's learning rate, dimensionless; 0 before the first step.</summary>
    public double LearningRate { get; init; }

    /// <summary>Euclidean norm of the last step's gradient before it was clipped, dimensionless; 0 before the first step.</summary>
    public double GradientNorm { get; init; }

    /// <summary>Tokens, targets or not, that the last step learned from per second; 0 before the first step of a run.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Time until the end as this run has gone so far; zero while nothing is known.</summary>
    public TimeSpan TimeLeft { get; init; }

    /// <summary>Held-out samples that have been measured; 0 at a step.</summary>
    public int ValidationDone { get; init; }

    /// <summary>Held-out samples in all; 0 at a step.</summary>
    public int ValidationTotal { get; init; }

    /// <summary>Mean loss of the held-out samples' targets, in nats, when all have been measured; else null.</summary>
    public double? ValidationLoss { get; init; }
}
