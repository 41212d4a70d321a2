using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>Writes a model as a GGUF file.</summary>
internal static class GgufOutput
{
    /// <summary>Writes a file that appears when it is whole.</summary>
    /// <param name="path">The file; nothing is replaced.</param>
    /// <param name="pairs">The metadata.</param>
    /// <param name="tensors">The tensors with GGUF's names, in the order of the file.</param>
    /// <param name="alignment">What the metadata says of the alignment, in bytes.</param>
    /// <param name="progress">Hears how many bytes of weights are written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Full path, and bytes of the file.</returns>
    public static (string Path, long Bytes) Write(
        string path, GgufPairs pairs, IReadOnlyList<OutputTensor> tensors, int alignment, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        string full = Path.GetFullPath(path);
        if (Directory.Exists(full))
        {
            throw new IOException($"{full}: expected a new file, found a folder.");
        }

        TensorCopier copier = new(tensors, progress, cancellationToken);
        long padding = (long)alignment * (tensors.Count + 1);
        DiskSpace.Require(full, checked(TensorCopier.TotalBytes(tensors) + pairs.Bytes.Length + padding));
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        using GgufWriter writer = GgufWriter.Create(full, pairs, [.. tensors.Select(tensor => tensor.Spec)], alignment);
        copier.WriteAll(writer, Path.GetFileName(full));
        cancellationToken.ThrowIfCancellationRequested();
        writer.Commit();
        return (full, new FileInfo(full).Length);
    }
}
