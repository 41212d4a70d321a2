using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Models;

/// <summary>How large weights are once they are loaded, told without loading them.</summary>
internal static class LoadedWeights
{
    private const string Embedding = "model.embed_tokens.weight";

    /// <summary>Whether loading packs any matrix.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="tensors">The checkpoint's tensors.</param>
    /// <param name="quantization">Quantization at load.</param>
    /// <param name="exactProducts">Whether block-quantized weights stay as stored.</param>
    public static bool Packs(ModelConfig config, IEnumerable<TensorInfo> tensors, Quantization quantization, bool exactProducts) =>
        Matrices(config, tensors, quantization, exactProducts).Any(matrix => matrix.Format is not null);

    /// <summary>
    /// Bytes of the weights: all tensors as stored where nothing is packed; otherwise what packing allocates, and the matrices that stay as stored, the
    /// embedding among them.
    /// </summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="tensors">The checkpoint's tensors.</param>
    /// <param name="quantization">Quantization at load.</param>
    /// <param name="exactProducts">Whether block-quantized weights stay as stored.</param>
    public static long Bytes(ModelConfig config, IReadOnlyList<TensorInfo> tensors, Quantization quantization, bool exactProducts)
    {
        if (!Packs(config, tensors, quantization, exactProducts))
        {
            return tensors.Sum(tensor => tensor.ByteLength);
        }

        long bytes = tensors.Where(tensor => tensor.Name == Embedding).Sum(tensor => tensor.ByteLength);
        foreach ((TensorInfo tensor, string? format) in Matrices(config, tensors, quantization, exactProducts))
        {
            // A tied head that stays as stored is the embedding, which is counted.
            bytes += format is not null ? MatrixPacker.PackedBytes(format, tensor.Shape[0], tensor.Shape[1]) : tensor.Name == Embedding ? 0 : tensor.ByteLength;
        }

        return bytes;
    }

    // The matrices that a pass reads, and the formats that they are packed in.
    private static IEnumerable<(TensorInfo Tensor, string? Format)> Matrices(
        ModelConfig config, IEnumerable<TensorInfo> tensors, Quantization quantization, bool exactProducts)
    {
        Dictionary<string, TensorInfo> byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        string head = config.TieWordEmbeddings ? Embedding : "lm_head.weight";
        foreach (string name in MatricesOfBlocks(config).Append(head))
        {
            if (byName.TryGetValue(name, out TensorInfo? tensor) && tensor.Shape.Length == 2)
            {
                yield return (tensor, WeightPacker.FormatFor(quantization, exactProducts, tensor.Type.ToString().ToLowerInvariant(), name == head));
            }
        }
    }

    private static IEnumerable<string> MatricesOfBlocks(ModelConfig config) =>
        Enumerable.Range(0, config.NumHiddenLayers).SelectMany(layer => BlockMatrices.Names.Select(matrix => $"model.layers.{layer}.{matrix}.weight"));
}
