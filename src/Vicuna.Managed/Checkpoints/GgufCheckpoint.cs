using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Models.Architectures;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// Opens a GGUF file: its metadata is the config and its vocabulary the tokenizer. Keys: ggml's docs/gguf.md.
/// </summary>
internal static class GgufCheckpoint
{
    /// <summary>Opens a file.</summary>
    /// <exception cref="ModelFormatException">It is damaged or not supported.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Checkpoint Open(string path, TensorSetOptions options, CancellationToken cancellationToken)
    {
        string fileName = Path.GetFileName(path);
        GgufFile? gguf = null;
        TensorSet tensors = TensorSet.OpenFile(path, Read, options, cancellationToken);
        try
        {
            GgufMetadata metadata = gguf!.Metadata;
            (SentencePieceTokenizer? tokenizer, string? problem) = ReadTokenizer(metadata, fileName);
            ModelConfig config = ReadConfig(metadata, tensors.Tensors, tokenizer, fileName);
            if (tokenizer is not null && tokenizer.VocabularySize > config.VocabSize)
            {
                throw new ModelFormatException(fileName, $"expected at most {config.VocabSize} tokens, found {tokenizer.VocabularySize}", "tokenizer.ggml.tokens");
            }

            string? template = metadata.TryGetString("tokenizer.chat_template", out string found) ? found : null;
            return new Checkpoint
            {
                Name = path,
                Format = "gguf",
                Config = config,
                Tensors = tensors,
                RopeStyle = RopeStyle.Adjacent,
                Tokenizer = tokenizer,
                TokenizerProblem = problem,
                DefaultOptions = new GenerationOptions { Temperature = 0 },
                EndOfSequenceIds = config.EosTokenIds,
                PromptFormatter = TemplateDetector.Detect(template),
                ChatTemplate = template,
                Metadata = metadata,
            };
        }
        catch
        {
            tensors.Dispose();
            throw;
        }

        IReadOnlyList<StoredTensor> Read(ByteRegion file, string name) => (gguf = GgufFile.Read(file, name)).Tensors;
    }

    private static ModelConfig ReadConfig(GgufMetadata metadata, IReadOnlyDictionary<string, StoredTensor> tensors, SentencePieceTokenizer? tokenizer, string fileName)
    {
        string name = metadata.TryGetString("general.architecture", out string found) ? found : throw Missing("general.architecture");
        Architecture architecture = ArchitectureRegistry.FindGguf(name, fileName);
        int hidden = Required("embedding_length");
        int heads = Required("attention.head_count");
        int? headDim = Optional("attention.key_length");
        if (headDim is null && (heads < 1 || hidden % heads != 0))
        {
            throw new ModelFormatException(fileName, $"expected a divisor of embedding_length {hidden}, found {heads}", $"{name}.attention.head_count");
        }

        headDim ??= hidden / heads;
        if (Optional("attention.value_length") is { } valueLength && valueLength != headDim)
        {
            throw new ModelFormatException(fileName, $"expected the key length {headDim}, found {valueLength}", $"{name}.attention.value_length");
        }

        if (Optional("rope.dimension_count") is { } rotated && rotated != headDim)
        {
            throw new ModelFormatException(fileName, $"expected the head dimension {headDim} (rotation of a part of a head is not supported), found {rotated}", $"{name}.rope.dimension_count");
        }

        if (Optional("expert_count") is > 0 and int experts)
        {
            throw new ModelFormatException(fileName, $"expected a dense model, found {experts} experts", $"{name}.expert_count");
        }

        ModelConfig config = new()
        {
            ModelType = architecture.ModelType,
            HiddenSize = hidden,
            IntermediateSize = Required("feed_forward_length"),
            NumHiddenLayers = Required("block_count"),
            NumAttentionHeads = heads,
            NumKeyValueHeads = Optional("attention.head_count_kv") ?? heads,
            HeadDim = headDim.Value,
            VocabSize = Optional("vocab_size") ?? tokenizer?.VocabularySize ?? Rows("model.embed_tokens.weight"),
            MaxPositionEmbeddings = Required("context_length"),
            RmsNormEps = metadata.TryGetFloat($"{name}.attention.layer_norm_rms_epsilon", out float epsilon) ? epsilon : throw Missing($"{name}.attention.layer_norm_rms_epsilon"),
            RopeTheta = metadata.TryGetFloat($"{name}.rope.freq_base", out float theta) ? theta : 10000,
            RopeScaling = ReadScaling(metadata, name, fileName),
            TieWordEmbeddings = !tensors.ContainsKey("lm_head.weight"),
            AttentionBias = tensors.ContainsKey("model.layers.0.self_attn.q_proj.bias"),
            MlpBias = tensors.ContainsKey("model.layers.0.mlp.gate_proj.bias"),
            SlidingWindow = Optional("attention.sliding_window") is > 0 and int window ? window : null,
            BosTokenId = tokenizer?.BosId,
            EosTokenIds = [.. new[] { tokenizer?.EosId, TokenId("eot"), TokenId("eom") }.OfType<int>().Distinct()],
        };
        config.Validate(fileName);
        return config;

        int Required(string key) => Optional(key) ?? throw Missing($"{name}.{key}");

        int? Optional(string key) => metadata.TryGetInt($"{name}.{key}", out int value) ? value : null;

        int? TokenId(string key) => metadata.TryGetInt($"tokenizer.ggml.{key}_token_id", out int id) ? id : null;

        int Rows(string tensor) => tensors.TryGetValue(tensor, out StoredTensor? stored) && stored.Info.Shape is [<= int.MaxValue and long rows, _] ? (int)rows : throw Missing($"{name}.vocab_size");

        ModelFormatException Missing(string key) => new(fileName, "expected a value, found nothing", key);
    }

    // Llama 3's stretching comes as a tensor of divisors (rope_freqs.weight), which the weights' binder reads.
    private static RopeScaling? ReadScaling(GgufMetadata metadata, string name, string fileName)
    {
        string type = metadata.TryGetString($"{name}.rope.scaling.type", out string found) ? found : "none";
        return type switch
        {
            "none" when metadata.TryGetFloat($"{name}.rope.scale_linear", out float scale) && scale != 1 => new RopeScaling { Kind = RopeScalingKind.Linear, Factor = scale },
            "none" => null,
            "linear" when metadata.TryGetFloat($"{name}.rope.scaling.factor", out float factor) => new RopeScaling { Kind = RopeScalingKind.Linear, Factor = factor },
            _ => throw new ModelFormatException(fileName, $"type {ModelFormatException.Quote(type)} is not supported (supported: none, linear with a factor)", $"{name}.rope.scaling.type"),
        };
    }

    private static (SentencePieceTokenizer? Tokenizer, string? Problem) ReadTokenizer(GgufMetadata metadata, string fileName)
    {
        string kind = metadata.TryGetString("tokenizer.ggml.model", out string found) ? found : "none";
        if (kind != "llama")
        {
            return (null, $"{fileName}: a tokenizer of kind {ModelFormatException.Quote(kind)} is not supported (supported: llama)");
        }

        string[] pieces = metadata.TryGetStrings("tokenizer.ggml.tokens", out string[] tokens) ? tokens : throw Missing("tokenizer.ggml.tokens");
        float[] scores = metadata.TryGetFloats("tokenizer.ggml.scores", out float[] values) ? values : throw Missing("tokenizer.ggml.scores");
        int[] types = metadata.TryGetInts("tokenizer.ggml.token_type", out int[] kinds) ? kinds : throw Missing("tokenizer.ggml.token_type");
        SentencePieceOptions options = new()
        {
            UnknownId = Id("unknown", 0),
            BosId = Id("bos", 1),
            EosId = Id("eos", 2),
            PadId = Id("padding", -1),
            ByteFallback = types.Contains((int)PieceType.Byte),
            AddDummyPrefix = !metadata.TryGetBool("tokenizer.ggml.add_space_prefix", out bool prefix) || prefix,
            RemoveExtraWhitespaces = metadata.TryGetBool("tokenizer.ggml.remove_extra_whitespaces", out bool remove) && remove,
        };
        bool addBos = !metadata.TryGetBool("tokenizer.ggml.add_bos_token", out bool add) || add;
        return (new SentencePieceTokenizer(SentencePieceModel.Create(pieces, scores, types, options, fileName), addBos), null);

        int Id(string name, int otherwise) => metadata.TryGetInt($"tokenizer.ggml.{name}_token_id", out int id) ? id : otherwise;

        ModelFormatException Missing(string key) => new(fileName, "expected a value, found nothing", key);
    }
}
