using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;
using Spec = (string Name, Vicuna.Managed.Weights.TensorType Type, long[] Shape);

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// The tensors of a checkpoint in F16, and which file holds which: in the model's order, as many to a file as fit, as Hugging Face's
/// save_pretrained does (huggingface_hub, <c>split_state_dict_into_shards_factory</c>).
/// </summary>
internal static class SyntheticShards
{
    /// <summary>Names and shapes <c>[rows, cols]</c> of a model's tensors, in the order of the model.</summary>
    public static IEnumerable<Spec> Tensors(ModelConfig config)
    {
        long hidden = config.HiddenSize;
        long queries = (long)config.NumAttentionHeads * config.HeadDim;
        long keys = (long)config.NumKeyValueHeads * config.HeadDim;
        long feedForward = config.IntermediateSize;
        (string Name, long Rows, long Columns, bool HasBias)[] projections =
        [
            ("self_attn.q_proj", queries, hidden, config.AttentionBias),
            ("self_attn.k_proj", keys, hidden, config.AttentionBias),
            ("self_attn.v_proj", keys, hidden, config.AttentionBias),
            ("self_attn.o_proj", hidden, queries, config.AttentionBias),
            ("mlp.gate_proj", feedForward, hidden, config.MlpBias),
            ("mlp.up_proj", feedForward, hidden, config.MlpBias),
            ("mlp.down_proj", hidden, feedForward, config.MlpBias),
        ];

        yield return ("model.embed_tokens.weight", TensorType.F16, [config.VocabSize, hidden]);
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            string block = $"model.layers.{layer}.";
            foreach ((string name, long rows, long columns, bool hasBias) in projections)
            {
                yield return ($"{block}{name}.weight", TensorType.F16, [rows, columns]);
                if (hasBias)
                {
                    yield return ($"{block}{name}.bias", TensorType.F16, [rows]);
                }
            }

            yield return (block + "input_layernorm.weight", TensorType.F16, [hidden]);
            yield return (block + "post_attention_layernorm.weight", TensorType.F16, [hidden]);
        }

        yield return ("model.norm.weight", TensorType.F16, [hidden]);
        if (!config.TieWordEmbeddings)
        {
            yield return ("lm_head.weight", TensorType.F16, [config.VocabSize, hidden]);
        }
    }

    /// <summary>Distributes tensors over files; one that is larger than a file may be has a file of its own.</summary>
    /// <param name="tensors">The tensors, in the model's order.</param>
    /// <param name="maxBytes">Most bytes of tensors in a file.</param>
    /// <returns>The files by name, in order: <c>model.safetensors</c>, or <c>model-00001-of-00002.safetensors</c> and so on.</returns>
    public static IReadOnlyList<SyntheticShard> Split(IEnumerable<Spec> tensors, long maxBytes)
    {
        List<List<Spec>> files = [];
        long bytes = 0;
        foreach (Spec tensor in tensors)
        {
            long more = Bytes(tensor.Shape);
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
            .. files.Select((file, i) => new SyntheticShard(
                files.Count == 1
                    ? CheckpointLayout.Safetensors.SingleFile
                    : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:D5}-of-{files.Count:D5}.safetensors"),
                file)),
        ];
    }

    /// <summary>The index that says which file holds which tensor.</summary>
    /// <param name="files">The files, from <see cref="Split"/>.</param>
    /// <returns>Indented JSON, UTF-8, its keys sorted as Hugging Face's are.</returns>
    public static byte[] Index(IReadOnlyList<SyntheticShard> files)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_size", files.Sum(file => file.Tensors.Sum(tensor => Bytes(tensor.Shape))));
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

    private static long Bytes(long[] shape) => checked(TensorTypes.ElementCount(shape) * TensorType.F16.BlockBytes());
}
