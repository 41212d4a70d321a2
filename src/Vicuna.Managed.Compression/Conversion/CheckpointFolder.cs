using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>Writes a checkpoint in Hugging Face's layout, in safetensors files.</summary>
internal static class CheckpointFolder
{
    // Headers, index and configuration, generously.
    private const long OtherBytes = 64 << 20;

    /// <summary>A checkpoint's tensors as they are, in the model's order; what the model has no use for comes last.</summary>
    public static IReadOnlyList<OutputTensor> InOrder(Checkpoint checkpoint)
    {
        Dictionary<string, int> places = ModelTensors.Of(checkpoint.Config, TensorType.F16).Select((tensor, place) => (tensor.Name, place)).ToDictionary(StringComparer.Ordinal);
        return
        [
            .. checkpoint.Tensors.Tensors.Values
                .OrderBy(tensor => places.GetValueOrDefault(tensor.Info.Name, int.MaxValue)).ThenBy(tensor => tensor.Info.Name, StringComparer.Ordinal)
                .Select(tensor => new OutputTensor(tensor.Info.Name, tensor.Info.Type, tensor)),
        ];
    }

    /// <summary>Writes a folder that takes its tokenizer and other small files from another.</summary>
    /// <param name="folder">The folder to write; new or empty.</param>
    /// <param name="tensors">The tensors, in the model's order.</param>
    /// <param name="config">The config.json.</param>
    /// <param name="smallFilesFrom">The folder with the other small files.</param>
    /// <param name="progress">Hears how many bytes of weights are written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Full path, and bytes of all files.</returns>
    public static (string Path, long Bytes) Write(
        string folder, IReadOnlyList<OutputTensor> tensors, byte[] config, string smallFilesFrom, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        IReadOnlyList<FileInfo> small = SmallFiles.Of(smallFilesFrom);
        return Write(folder, tensors, config, small.Sum(file => file.Length), staged => SmallFiles.Copy(small, staged.TemporaryPath), progress, cancellationToken);
    }

    /// <summary>Writes a folder.</summary>
    /// <param name="folder">The folder to write; new or empty.</param>
    /// <param name="tensors">The tensors, in the model's order.</param>
    /// <param name="config">The config.json.</param>
    /// <param name="otherBytes">Bytes of the other files.</param>
    /// <param name="writeOthers">Writes the other files.</param>
    /// <param name="progress">Hears how many bytes of weights are written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Full path, and bytes of all files.</returns>
    public static (string Path, long Bytes) Write(
        string folder,
        IReadOnlyList<OutputTensor> tensors,
        byte[] config,
        long otherBytes,
        Action<StagedFolder> writeOthers,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        TensorCopier copier = new(tensors, progress, cancellationToken);
        using StagedFolder staged = StagedFolder.Create(folder, checked(TensorCopier.TotalBytes(tensors) + otherBytes + OtherBytes));
        File.WriteAllBytes(staged.File(HuggingFaceCheckpoint.ConfigFile), config);
        writeOthers(staged);
        WeightShards.Write(staged.TemporaryPath, tensors.Select(tensor => tensor.Spec), WeightShards.MaxShardBytes, copier.WriteAll);
        cancellationToken.ThrowIfCancellationRequested();
        return (staged.Path, staged.Commit());
    }
}
