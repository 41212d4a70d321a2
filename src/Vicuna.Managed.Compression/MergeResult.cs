namespace Vicuna.Managed.Compression;

/// <summary>What <see cref="AdapterMerge"/> has written.</summary>
/// <param name="Path">Full path of the new folder.</param>
/// <param name="Bytes">Bytes of all files written.</param>
/// <param name="Matrices">Matrices that were changed.</param>
public sealed record MergeResult(string Path, long Bytes, int Matrices);
