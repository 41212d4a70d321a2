namespace Vicuna.Managed.Compression;

/// <summary>What <see cref="CheckpointConverter"/> has written.</summary>
/// <param name="Path">Full path of the new folder or file.</param>
/// <param name="Bytes">Bytes of all files written.</param>
/// <param name="Tensors">Number of tensors.</param>
public sealed record ConvertResult(string Path, long Bytes, int Tensors);
