using System.Buffers;
using System.Text.Json;
using Vicuna.Managed.Models.Architectures;

namespace Vicuna.Managed.Models;

/// <summary>Writes Hugging Face's config.json, such that <see cref="ConfigReader"/> (and transformers) reads the same model back.</summary>
internal static class ConfigWriter
{
    /// <summary>Writes a configuration.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="storageType">How the weights are stored, by PyTorch's name: <c>float16</c>.</param>
    /// <returns>Indented JSON, UTF-8.</returns>
    /// <exception cref="ModelFormatException">The architecture is not supported.</exception>
    public static byte[] Write(ModelConfig config, string storageType)
    {
        Architecture architecture = ArchitectureRegistry.Find(config.ModelType, "config");
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartArray("architectures");
            json.WriteStringValue(architecture.ClassName);
            json.WriteEndArray();
            json.WriteString("model_type", architecture.ModelType);
            json.WriteString("torch_dtype", storageType);
            json.WriteString("hidden_act", "silu");
            json.WriteNumber("hidden_size", config.HiddenSize);
            json.WriteNumber("intermediate_size", config.IntermediateSize);
            json.WriteNumber("num_hidden_layers", config.NumHiddenLayers);
            json.WriteNumber("num_attention_heads", config.NumAttentionHeads);
            json.WriteNumber("num_key_value_heads", config.NumKeyValueHeads);
            json.WriteNumber("head_dim", config.HeadDim);
            json.WriteNumber("vocab_size", config.VocabSize);
            json.WriteNumber("max_position_embeddings", config.MaxPositionEmbeddings);
            json.WriteNumber("rms_norm_eps", config.RmsNormEps);
            json.WriteNumber("rope_theta", config.RopeTheta);
            WriteScaling(json, config.RopeScaling);
            json.WriteBoolean("tie_word_embeddings", config.TieWordEmbeddings);
            if (architecture.HasBiasOptions)
            {
                json.WriteBoolean("attention_bias", config.AttentionBias);
                json.WriteBoolean("mlp_bias", config.MlpBias);
            }

            if (architecture.HasSlidingWindow && config.SlidingWindow is { } window)
            {
                json.WriteNumber("sliding_window", window);
            }

            WriteSequenceIds(json, config);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes a generation_config.json that says no more than the ids that begin and end a sequence.</summary>
    /// <param name="config">The model's shape.</param>
    /// <returns>Indented JSON, UTF-8.</returns>
    public static byte[] WriteGeneration(ModelConfig config)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            WriteSequenceIds(json, config);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    // Both files have them.
    private static void WriteSequenceIds(Utf8JsonWriter json, ModelConfig config)
    {
        if (config.BosTokenId is { } bos)
        {
            json.WriteNumber("bos_token_id", bos);
        }

        if (config.EosTokenIds is [int only])
        {
            json.WriteNumber("eos_token_id", only);
        }
        else if (config.EosTokenIds.Count > 0)
        {
            json.WriteStartArray("eos_token_id");
            foreach (int id in config.EosTokenIds)
            {
                json.WriteNumberValue(id);
            }

            json.WriteEndArray();
        }
    }

    private static void WriteScaling(Utf8JsonWriter json, RopeScaling? scaling)
    {
        if (scaling is null)
        {
            return;
        }

        json.WriteStartObject("rope_scaling");
        json.WriteString("rope_type", scaling.Kind == RopeScalingKind.Llama3 ? "llama3" : "linear");
        json.WriteNumber("factor", scaling.Factor);
        if (scaling.Kind == RopeScalingKind.Llama3)
        {
            json.WriteNumber("low_freq_factor", scaling.LowFreqFactor);
            json.WriteNumber("high_freq_factor", scaling.HighFreqFactor);
            json.WriteNumber("original_max_position_embeddings", scaling.OriginalMaxPositionEmbeddings);
        }

        json.WriteEndObject();
    }
}
