using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;
using Spec = (string Name, Vicuna.Managed.Weights.TensorType Type, long[] Shape);

namespace Vicuna.Managed.Checkpoints;

/// <summary>The tensors that a model consists of, in the order in which Hugging Face's files list them.</summary>
internal static class ModelTensors
{
    /// <summary>Names and shapes <c>[rows, cols]</c> of a model's tensors, in the order of the model.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="type">The type of them all.</param>
    public static IEnumerable<Spec> Of(ModelConfig config, TensorType type)
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

        yield return ("model.embed_tokens.weight", type, [config.VocabSize, hidden]);
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            string block = $"model.layers.{layer}.";
            foreach ((string name, long rows, long columns, bool hasBias) in projections)
            {
                yield return ($"{block}{name}.weight", type, [rows, columns]);
                if (hasBias)
                {
                    yield return ($"{block}{name}.bias", type, [rows]);
                }
            }

            yield return (block + "input_layernorm.weight", type, [hidden]);
            yield return (block + "post_attention_layernorm.weight", type, [hidden]);
        }

        yield return ("model.norm.weight", type, [hidden]);
        if (!config.TieWordEmbeddings)
        {
            yield return ("lm_head.weight", type, [config.VocabSize, hidden]);
        }
    }
}
