using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Compression.Conversion;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression;

/// <summary>Shortens a model: chooses the blocks that it can do without, and writes the checkpoint that is left.</summary>
public static class DepthPruner
{
    private const string GgufSuffix = ".gguf";

    // Header, index and configuration, generously.
    private const long OtherBytes = 64 << 20;

    /// <summary>
    /// Chooses the least important blocks. The first and last ones of a model, without which it says nothing, are never chosen ("Taylor+", "Magnitude+").
    /// </summary>
    /// <param name="scores">Every block's score.</param>
    /// <param name="count">Blocks to remove, 1 or more.</param>
    /// <param name="keepFirst">Blocks at the beginning that stay.</param>
    /// <param name="keepLast">Blocks at the end that stay.</param>
    /// <returns>Numbers of the blocks to remove, ascending.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative, or there are not that many blocks to choose from.</exception>
    public static IReadOnlyList<int> Select(BlockScores scores, int count, int keepFirst = 4, int keepLast = 2)
    {
        ArgumentNullException.ThrowIfNull(scores);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(keepFirst);
        ArgumentOutOfRangeException.ThrowIfNegative(keepLast);
        int blocks = scores.Blocks.Count;
        int[] free = [.. scores.Order.Where(block => block >= keepFirst && block < (long)blocks - keepLast)];
        return count <= free.Length && count < blocks
            ? [.. free.Take(count).Order()]
            : throw new ArgumentOutOfRangeException(
                nameof(count),
                $"Blocks to remove: expected at most {Math.Min(free.Length, blocks - 1)} of {blocks}, "
                + $"of which the first {keepFirst} and the last {keepLast} stay, found {count}.");
    }

    /// <summary>Chooses the least important blocks of a given model.</summary>
    /// <param name="scores">Every block's score.</param>
    /// <param name="model">The model's shape.</param>
    /// <param name="count">Blocks to remove, 1 or more.</param>
    /// <param name="keepFirst">Blocks at the beginning that stay.</param>
    /// <param name="keepLast">Blocks at the end that stay.</param>
    /// <returns>Numbers of the blocks to remove, ascending.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative, or there are not that many blocks to choose from.</exception>
    /// <exception cref="ArgumentException">The scores are another model's: it has another number of blocks.</exception>
    public static IReadOnlyList<int> SelectFor(BlockScores scores, ModelConfig model, int count, int keepFirst = 4, int keepLast = 2)
    {
        ArgumentNullException.ThrowIfNull(scores);
        ArgumentNullException.ThrowIfNull(model);
        return scores.Blocks.Count == model.NumHiddenLayers
            ? Select(scores, count, keepFirst, keepLast)
            : throw new ArgumentException($"Scores of another model: expected {model.NumHiddenLayers} blocks, found {scores.Blocks.Count}.", nameof(scores));
    }

    /// <summary>
    /// Writes a checkpoint without some of its blocks; the others are numbered anew, in order. Weights keep their types, bit for bit. A Hugging Face folder
    /// (safetensors or .bin) becomes a folder of safetensors files with the same tokenizer, licence and other small files; every key of its
    /// <c>config.json</c> stays, with fewer layers. A GGUF file becomes a GGUF file with the same metadata and fewer blocks.
    /// </summary>
    /// <param name="model">The checkpoint: a folder or a .gguf file.</param>
    /// <param name="folder">
    /// The folder to write; must not exist or be empty. For a GGUF file also a path that ends in .gguf, where there is nothing yet. It appears when all is
    /// written: a failed or cancelled call leaves nothing behind.
    /// </param>
    /// <param name="removed">Numbers of the blocks to remove, one or more, in any order.</param>
    /// <param name="progress">Hears how many bytes of weights are written; called from the writing thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="FileNotFoundException">There is no checkpoint.</exception>
    /// <exception cref="ModelFormatException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="ArgumentException">
    /// No block is to be removed, or one that is not there, or one twice, or all; or the destination does not fit the container.
    /// </exception>
    /// <exception cref="IOException">The destination is not empty, the disk has no room, or it cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The destination may not be written to.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static PruneResult Write(
        string model, string folder, IReadOnlyCollection<int> removed, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(removed);
        if (removed.Count == 0)
        {
            throw new ArgumentException("Removed blocks: expected one or more, found none.", nameof(removed));
        }

        using Checkpoint whole = Checkpoint.Open(model, new TensorSetOptions(), cancellationToken);
        BlockCut cut = new(removed, whole.Config.NumHiddenLayers);
        Checkpoint left = whole.Without(cut);
        Check(left);
        (string path, long bytes) = left.Metadata is { } metadata
            ? WriteGguf(left, metadata, folder, progress, cancellationToken)
            : WriteFolder(left, cut, folder, progress, cancellationToken);
        return new PruneResult(cut.Removed, cut.Kept, left.Config.ParameterCount, path, bytes);
    }

    // What could not be loaded is not written either.
    private static void Check(Checkpoint checkpoint) =>
        DecoderWeights.Bind(checkpoint.Config, checkpoint.Tensors.Tensors, checkpoint.Name, IsaTier.Scalar, checkpoint.RopeStyle).Dispose();

    private static (string Path, long Bytes) WriteFolder(
        Checkpoint checkpoint, BlockCut cut, string folder, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        if (folder.EndsWith(GgufSuffix, StringComparison.OrdinalIgnoreCase))
        {
            throw new ArgumentException(
                $"{folder}: expected the path of a folder, as {checkpoint.Name} is one, found one that ends in {GgufSuffix}; convert the result instead.", nameof(folder));
        }

        string config = Path.Combine(checkpoint.Name, HuggingFaceCheckpoint.ConfigFile);
        byte[] newConfig = ConfigEditor.Cut(File.ReadAllBytes(config), HuggingFaceCheckpoint.ConfigFile, cut);
        return CheckpointFolder.Write(folder, CheckpointFolder.InOrder(checkpoint), newConfig, checkpoint.Name, progress, cancellationToken);
    }

    private static (string Path, long Bytes) WriteGguf(
        Checkpoint checkpoint, GgufMetadata metadata, string destination, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        OutputTensor[] tensors =
        [
            .. checkpoint.Tensors.Tensors.Values.Select(tensor => new OutputTensor(GgufTensorNames.ToGguf(tensor.Info.Name), tensor.Info.Type, tensor)),
        ];
        metadata.TryGetString("general.architecture", out string architecture);
        GgufPairs pairs = GgufMetadataEdit.With(metadata, ($"{architecture}.block_count", (uint)checkpoint.Config.NumHiddenLayers));
        int alignment = metadata.TryGetInt("general.alignment", out int stored) ? stored : GgufWriter.DefaultAlignment;
        if (destination.EndsWith(GgufSuffix, StringComparison.OrdinalIgnoreCase))
        {
            return GgufOutput.Write(destination, pairs, tensors, alignment, progress, cancellationToken);
        }

        using StagedFolder staged = StagedFolder.Create(destination, TensorCopier.TotalBytes(tensors) + OtherBytes);
        GgufOutput.Write(staged.File(Path.GetFileName(checkpoint.Name)), pairs, tensors, alignment, progress, cancellationToken);
        return (staged.Path, staged.Commit());
    }
}
