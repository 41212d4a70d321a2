namespace Vicuna.Managed.Compression;

/// <summary>What a training has just done.</summary>
public enum TrainingStage
{
    /// <summary>A step: the weights have changed.</summary>
    Step,

    /// <summary>A part of the held-out samples has been measured.</summary>
    Validation,
}
