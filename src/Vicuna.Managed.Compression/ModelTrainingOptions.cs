using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>How a new model is trained. The defaults suit models of some million weights.</summary>
public sealed record ModelTrainingOptions : TrainingOptions
{
    /// <summary>The defaults.</summary>
    public ModelTrainingOptions()
    {
        Epochs = 1;
        LearningRate = 2e-3;
        Schedule = LearningRateSchedule.Cosine;
        BatchSize = 16;
        MicroBatchSize = 4;
        Beta2 = 0.95;
        WeightDecay = 0.1;
        EvaluateBefore = false;
    }

    /// <summary>How the weights are stored: <see cref="TensorType.F32"/>, <see cref="TensorType.F16"/> or <see cref="TensorType.BF16"/>.</summary>
    public TensorType Type { get; init; } = TensorType.F16;

    /// <summary>Threads that compute, 1 to 1024; null for one per processor.</summary>
    public int? Threads { get; init; }

    /// <inheritdoc/>
    internal override void Check()
    {
        base.Check();
        Require(Type is TensorType.F32 or TensorType.F16 or TensorType.BF16, nameof(Type), Type, "F32, F16 or BF16");
        Require(Threads is null or (>= 1 and <= 1024), nameof(Threads), Threads ?? 0, "1 to 1024");
    }
}
