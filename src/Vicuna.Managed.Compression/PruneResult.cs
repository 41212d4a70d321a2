namespace Vicuna.Managed.Compression;

/// <summary>What <see cref="DepthPruner"/> has written.</summary>
/// <param name="Removed">Blocks that are gone, by their numbers in the original, ascending.</param>
/// <param name="Kept">Blocks that are left, by their numbers in the original, ascending: block i of the new model is block <c>Kept[i]</c> of the old.</param>
/// <param name="Parameters">Number of weights of the new model.</param>
/// <param name="Path">Full path of the new folder or file.</param>
/// <param name="Bytes">Bytes of all files written.</param>
public sealed record PruneResult(IReadOnlyList<int> Removed, IReadOnlyList<int> Kept, long Parameters, string Path, long Bytes);
