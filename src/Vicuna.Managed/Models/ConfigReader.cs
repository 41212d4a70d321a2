using Vicuna.Managed.Models.Architectures;

namespace Vicuna.Managed.Models;

/// <summary>Reads Hugging Face's config.json. Absent keys have the defaults of transformers' LlamaConfig; what would change the model's arithmetic and is not known is refused.</summary>
internal static class ConfigReader
{
    /// <summary>Reads and validates a configuration.</summary>
    /// <exception cref="ModelFormatException">It is damaged, or asks for something that is not supported.</exception>
    public static ModelConfig Read(ReadOnlyMemory<byte> utf8, string fileName)
    {
        JsonObject json = JsonObject.Parse(utf8, fileName);
        Architecture architecture = FindArchitecture(json);
        RefuseUnsupported(json);
        int hidden = json.RequiredInt("hidden_size");
        int heads = json.RequiredInt("num_attention_heads");
        JsonObject? rope = json.Object("rope_parameters") ?? json.Object("rope_scaling");
        ModelConfig config = new()
        {
            ModelType = architecture.ModelType,
            HiddenSize = hidden,
            IntermediateSize = json.RequiredInt("intermediate_size"),
            NumHiddenLayers = json.RequiredInt("num_hidden_layers"),
            NumAttentionHeads = heads,
            NumKeyValueHeads = json.Int("num_key_value_heads") ?? heads,
            HeadDim = json.Int("head_dim") ?? DefaultHeadDim(hidden, heads, fileName),
            VocabSize = json.RequiredInt("vocab_size"),
            MaxPositionEmbeddings = json.Int("max_position_embeddings") ?? 2048,
            RmsNormEps = (float)(json.Number("rms_norm_eps") ?? 1e-6),
            RopeTheta = json.Number("rope_theta") ?? rope?.Number("rope_theta") ?? 10000,
            RopeScaling = rope is null ? null : ReadScaling(rope),
            TieWordEmbeddings = json.Bool("tie_word_embeddings") ?? false,
            AttentionBias = architecture.HasBiasOptions && (json.Bool("attention_bias") ?? false),
            MlpBias = architecture.HasBiasOptions && (json.Bool("mlp_bias") ?? false),
            SlidingWindow = architecture.HasSlidingWindow ? json.Int("sliding_window") : null,
            BosTokenId = json.Int("bos_token_id"),
            EosTokenIds = json.IntOrInts("eos_token_id"),
        };
        config.Validate(fileName);
        return config;
    }

    private static Architecture FindArchitecture(JsonObject json)
    {
        if (json.String("model_type") is { } type)
        {
            return ArchitectureRegistry.Find(type, json.FileName);
        }

        // Some old checkpoints name only the class.
        string? className = json.Strings("architectures") is [string first, ..] ? first : null;
        return ArchitectureRegistry.All.FirstOrDefault(architecture => architecture.ClassName == className)
            ?? throw new ModelFormatException(json.FileName, $"expected a supported model_type, found none (architectures: {(className is null ? "none" : ModelFormatException.Quote(className))})", "model_type");
    }

    private static int DefaultHeadDim(int hidden, int heads, string fileName) => heads >= 1 && hidden % heads == 0
        ? hidden / heads
        : throw new ModelFormatException(fileName, $"expected a divisor of hidden_size {hidden} (or a head_dim), found {heads}", "num_attention_heads");

    private static void RefuseUnsupported(JsonObject json)
    {
        if (json.String("hidden_act") is { } activation && activation is not ("silu" or "swish"))
        {
            throw new ModelFormatException(json.FileName, $"activation {ModelFormatException.Quote(activation)} is not supported (supported: silu)", "hidden_act");
        }

        if (json.Object("quantization_config") is { } quantization)
        {
            string method = quantization.String("quant_method") ?? "unknown";
            throw new ModelFormatException(
                json.FileName, $"weights quantized with {ModelFormatException.Quote(method)} are not supported; use the unquantized checkpoint or a GGUF file", "quantization_config");
        }

        if (json.Number("partial_rotary_factor") is { } factor && factor != 1)
        {
            throw new ModelFormatException(json.FileName, $"expected 1, found {factor}", "partial_rotary_factor");
        }
    }

    private static RopeScaling? ReadScaling(JsonObject rope)
    {
        string type = rope.String("rope_type") ?? rope.String("type") ?? "default";
        return type switch
        {
            "default" => null,
            "linear" => new RopeScaling { Kind = RopeScalingKind.Linear, Factor = RequiredNumber(rope, "factor") },
            "llama3" => new RopeScaling
            {
                Kind = RopeScalingKind.Llama3,
                Factor = RequiredNumber(rope, "factor"),
                LowFreqFactor = RequiredNumber(rope, "low_freq_factor"),
                HighFreqFactor = RequiredNumber(rope, "high_freq_factor"),
                OriginalMaxPositionEmbeddings = rope.RequiredInt("original_max_position_embeddings"),
            },
            _ => throw new ModelFormatException(rope.FileName, $"type {ModelFormatException.Quote(type)} is not supported (supported: default, linear, llama3)", "rope_scaling"),
        };
    }

    private static double RequiredNumber(JsonObject json, string key) =>
        json.Number(key) ?? throw new ModelFormatException(json.FileName, "expected a number, found nothing", $"rope_scaling.{key}");
}
