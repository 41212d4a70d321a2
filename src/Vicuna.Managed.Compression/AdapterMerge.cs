using Vicuna.Managed.Adapters;
using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Compression.Conversion;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>Folds LoRA adapters into a model's weights: W' = W + scale · B·A (Hu et al. 2021), which then cost nothing when the model runs.</summary>
public static class AdapterMerge
{
    /// <summary>
    /// Writes a checkpoint with adapters folded in. Each row is summed in single precision and rounded once, to the type that it is stored in; all other
    /// weights stay bit for bit. The files are safetensors; configuration, tokenizer and other small files are the model's.
    /// </summary>
    /// <param name="model">The checkpoint: a Hugging Face folder (safetensors or .bin).</param>
    /// <param name="adapterFolders">The adapters, one or more, in PEFT's layout; what they change adds up.</param>
    /// <param name="folder">
    /// The folder to write; must not exist or be empty. It appears when all is written: a failed or cancelled call leaves nothing behind.
    /// </param>
    /// <param name="progress">Hears how many bytes of weights are written; called from the writing thread. Null for none.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="FileNotFoundException">There is no checkpoint.</exception>
    /// <exception cref="ModelFormatException">
    /// Checkpoint or adapter is damaged, not supported, or of other shapes than the other; or a sum does not fit the type that it is stored in.
    /// </exception>
    /// <exception cref="ArgumentException">There is no adapter.</exception>
    /// <exception cref="IOException">The folder is not empty, the disk has no room, or it cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static MergeResult Write(
        string model,
        IReadOnlyList<string> adapterFolders,
        string folder,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentNullException.ThrowIfNull(adapterFolders);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (adapterFolders.Count == 0)
        {
            throw new ArgumentException("Adapters: expected one or more, found none.", nameof(adapterFolders));
        }

        using Checkpoint checkpoint = Checkpoint.Open(model, new TensorSetOptions(), cancellationToken);
        // What could not be loaded is not written either.
        DecoderWeights.Bind(checkpoint.Config, checkpoint.Tensors.Tensors, checkpoint.Name, IsaTier.Scalar, checkpoint.RopeStyle).Dispose();
        ILookup<string, Action<int, float[]>> changes = adapterFolders
            .SelectMany(path => Changes(checkpoint, path))
            .ToLookup(change => change.Tensor, change => change.Add);
        foreach (string name in changes.Select(change => change.Key))
        {
            CheckType(checkpoint.Tensors.Tensors[name].Info);
        }

        if (checkpoint.Metadata is not null)
        {
            throw new ModelFormatException(checkpoint.Name, "expected a Hugging Face folder, found a GGUF file; convert it to safetensors first", item: null);
        }

        OutputTensor[] tensors =
        [
            .. CheckpointFolder.InOrder(checkpoint)
                .Select(tensor => changes.Contains(tensor.Name) ? tensor with { Change = All(changes[tensor.Name]) } : tensor),
        ];
        byte[] config = File.ReadAllBytes(Path.Combine(checkpoint.Name, HuggingFaceCheckpoint.ConfigFile));
        (string path, long bytes) = CheckpointFolder.Write(folder, tensors, config, checkpoint.Name, progress, cancellationToken);
        return new MergeResult(path, bytes, changes.Count);
    }

    private static IEnumerable<(string Tensor, Action<int, float[]> Add)> Changes(Checkpoint checkpoint, string folder)
    {
        PeftAdapter adapter = PeftAdapterFile.Read(folder);
        AdapterBinder.Check(adapter, checkpoint.Config, folder);
        Operations operations = Operations.For(IsaTiers.Best);
        return adapter.Pairs.Select(pair => ($"model.layers.{pair.Layer}.{pair.Projection}.weight", Change(pair, adapter.Config.Scale, operations)));
    }

    // A row of W is to A's columns and a row of B what a product is to B's rows and h: the same kernel, with A's columns packed.
    private static Action<int, float[]> Change(LoraPair pair, float scale, Operations operations)
    {
        int rank = pair.Rank;
        int columns = pair.A.Length / rank;
        float[] packed = new float[LowRank.PackedElements(columns, rank)];
        float[] column = new float[rank];
        for (int c = 0; c < columns; c++)
        {
            for (int r = 0; r < rank; r++)
            {
                column[r] = pair.A[(r * columns) + c];
            }

            LowRank.PackRow(column, c, packed);
        }

        return (row, values) => operations.AddLowRank(packed, rank, pair.B.AsSpan(row * rank, rank), 1, scale, values, columns, columns);
    }

    private static Action<int, float[]> All(IEnumerable<Action<int, float[]>> changes) => changes.Aggregate((first, then) => first + then);

    private static void CheckType(TensorInfo tensor)
    {
        if (tensor.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
        {
            throw new ModelFormatException(
                tensor.FileName,
                $"expected F32, F16 or BF16, found {tensor.Type}; adapters are merged into weights that are not block-quantized, and run beside those that are",
                tensor.Name);
        }
    }
}
