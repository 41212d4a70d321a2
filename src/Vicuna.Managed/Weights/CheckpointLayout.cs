using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights;

/// <summary>How a kind of checkpoint lies in its folder: one file, or an index and several files.</summary>
/// <param name="SingleFile">Name of the one file, for example <c>model.safetensors</c>.</param>
/// <param name="IndexFile">Name of the index.</param>
/// <param name="ShardSuffix">What the names of the index's files end with.</param>
/// <param name="ReadFile">Reads the tensors of one file; throws <see cref="ModelFormatException"/> and nothing else.</param>
internal sealed record CheckpointLayout(string SingleFile, string IndexFile, string ShardSuffix, Func<ByteRegion, string, IReadOnlyList<StoredTensor>> ReadFile)
{
    /// <summary>The names that Hugging Face's <c>save_pretrained</c> gives to safetensors files.</summary>
    public static CheckpointLayout Safetensors { get; } = new("model.safetensors", "model.safetensors.index.json", ".safetensors", SafetensorsFile.Read);
}
