using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.Weights;
using Spec = (string Name, Vicuna.Managed.Weights.TensorType Type, long[] Shape);

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// The weight files of a checkpoint that is written: in the model's order, as many tensors to a file as fit, as Hugging Face's save_pretrained
/// does (huggingface_hub, <c>split_state_dict_into_shards_factory</c>).
/// </summary>
internal static class WeightShards
{
    /// <summary>The size at which Hugging Face split Llama-family checkpoints: 10 GB, in powers of ten.</summary>
    public const long MaxShardBytes = 10_000_000_000;

    /// <summary>Writes the files, and their index where there are several.</summary>
    /// <param name="folder">The folder, which exists.</param>
    /// <param name="tensors">Names, types and shapes <c>[rows, cols]</c>, in the model's order.</param>
    /// <param name="maxBytes">Most bytes of tensors in a file.</param>
    /// <param name="fill">Writes all tensors of a file of the given name, in the writer's order.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Write(string folder, IEnumerable<Spec> tensors, long maxBytes, Action<SafetensorsWriter, string> fill)
    {
        // Transformers refuses files that do not name their framework.
        Dictionary<string, string> metadata = new() { ["format"] = "pt" };
        IReadOnlyList<WeightShard> shards = Split(tensors, maxBytes);
        foreach (WeightShard shard in shards)
        {
            using SafetensorsWriter writer = SafetensorsWriter.Create(Path.Combine(folder, shard.FileName), shard.Tensors, metadata);
            fill(writer, shard.FileName);
            writer.Commit();
        }

        if (shards.Count > 1)
        {
            File.WriteAllBytes(Path.Combine(folder, CheckpointLayout.Safetensors.IndexFile), Index(shards));
        }
    }

    /// <summary>Distributes tensors over files; one that is larger than a file may be has a file of its own.</summary>
    /// <param name="tensors">The tensors, in the model's order.</param>
    /// <param name="maxBytes">Most bytes of tensors in a file.</param>
    /// <returns>The files by name, in order: <c>model.safetensors</c>, or <c>model-00001-of-00002.safetensors</c> and so on.</returns>
    public static IReadOnlyList<WeightShard> Split(IEnumerable<Spec> tensors, long maxBytes)
    {
        List<List<Spec>> files = [];
        long bytes = 0;
        foreach (Spec tensor in tensors)
        {
            long more = Bytes(tensor);
            if (files.Count == 0 || more > maxBytes - bytes)
            {
                files.Add([]);
                bytes = 0;
            }

            files[^1].Add(tensor);
            bytes += more;
        }

        return
        [
            .. files.Select((file, i) => new WeightShard(
                files.Count == 1
                    ? CheckpointLayout.Safetensors.SingleFile
                    : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:D5}-of-{files.Count:D5}.safetensors"),
                file)),
        ];
    }

    /// <summary>Bytes that a tensor takes.</summary>
    /// <param name="tensor">Name, type and shape <c>[rows, cols]</c>; its rows are whole blocks.</param>
    public static long Bytes(Spec tensor) => checked(TensorTypes.ElementCount(tensor.Shape) / tensor.Type.BlockElements() * tensor.Type.BlockBytes());

    // Indented JSON, its keys sorted as Hugging Face's are.
    private static byte[] Index(IReadOnlyList<WeightShard> files)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_size", files.Sum(file => file.Tensors.Sum(Bytes)));
            json.WriteEndObject();
            json.WriteStartObject("weight_map");
            foreach ((string name, string fileName) in files
                .SelectMany(file => file.Tensors.Select(tensor => (tensor.Name, file.FileName)))
                .OrderBy(pair => pair.Name, StringComparer.Ordinal))
            {
                json.WriteString(name, fileName);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
