namespace Vicuna.Managed.Compression;

/// <summary>Samples, and what became of the records that they were made from.</summary>
public sealed record TrainingSet
{
    /// <summary>The samples, in the file's order.</summary>
    public required IReadOnlyList<TrainingSample> Samples { get; init; }

    /// <summary>What the file holds; never <see cref="TrainingDataKind.Auto"/>.</summary>
    public required TrainingDataKind Kind { get; init; }

    /// <summary>Records in the file: instructions, conversations, or windows of a text.</summary>
    public required int Records { get; init; }

    /// <summary>Records left out because they are damaged.</summary>
    public required int Broken { get; init; }

    /// <summary>Records left out because nothing of them is to be predicted: no answer, or a prompt that fills the sample.</summary>
    public required int WithoutTargets { get; init; }

    /// <summary>Records of which the end was cut off.</summary>
    public required int Cut { get; init; }
}
