namespace Vicuna.Managed.Checkpoints;

/// <summary>What <see cref="SyntheticCheckpoint"/> has written.</summary>
/// <param name="Path">Full path of the folder.</param>
/// <param name="Parameters">Number of weights.</param>
/// <param name="Bytes">Bytes of all files in the folder.</param>
public sealed record SyntheticCheckpointInfo(string Path, long Parameters, long Bytes);
