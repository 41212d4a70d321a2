using Vicuna.Managed.Checkpoints;
using Vicuna.Managed.Models;
using Vicuna.Managed.Models.Architectures;
using Vicuna.Managed.Tokenization;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>A Hugging Face model as GGUF metadata: the keys that llama.cpp needs. Source: ggml's docs/gguf.md, llama.cpp's convert_hf_to_gguf.py.</summary>
internal static class GgufModelPairs
{
    /// <summary>What <c>tokenizer.ggml.model</c> says where there is no tokenizer.</summary>
    public const string NoVocabulary = "no_vocab";

    // What llama.cpp's converter gives to ids that the vocabulary has no piece for.
    private const float PadScore = -10_000;

    /// <summary>Makes the metadata.</summary>
    /// <param name="checkpoint">The model.</param>
    /// <param name="type">How most weights are stored.</param>
    public static GgufPairs Of(Checkpoint checkpoint, TensorType type)
    {
        ModelConfig config = checkpoint.Config;
        string name = ArchitectureRegistry.Find(config.ModelType, checkpoint.Name).GgufName;
        GgufPairs pairs = new();
        pairs.Add("general.architecture", name);
        pairs.Add("general.name", Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(checkpoint.Name))));
        pairs.Add("general.alignment", (uint)GgufWriter.DefaultAlignment);
        pairs.Add("general.file_type", GgufLayout.FileType(type));
        pairs.Add("general.quantization_version", GgufLayout.QuantizationVersion);
        AddShape(pairs, config, name);
        AddTokenizer(pairs, checkpoint);
        if (checkpoint.ChatTemplate is { } template)
        {
            pairs.Add("tokenizer.chat_template", template);
        }

        return pairs;
    }

    private static void AddShape(GgufPairs pairs, ModelConfig config, string name)
    {
        pairs.Add($"{name}.block_count", (uint)config.NumHiddenLayers);
        pairs.Add($"{name}.context_length", (uint)config.MaxPositionEmbeddings);
        pairs.Add($"{name}.embedding_length", (uint)config.HiddenSize);
        pairs.Add($"{name}.feed_forward_length", (uint)config.IntermediateSize);
        pairs.Add($"{name}.attention.head_count", (uint)config.NumAttentionHeads);
        pairs.Add($"{name}.attention.head_count_kv", (uint)config.NumKeyValueHeads);
        if ((long)config.HeadDim * config.NumAttentionHeads != config.HiddenSize)
        {
            pairs.Add($"{name}.attention.key_length", (uint)config.HeadDim);
            pairs.Add($"{name}.attention.value_length", (uint)config.HeadDim);
        }

        if (config.SlidingWindow is { } window)
        {
            pairs.Add($"{name}.attention.sliding_window", (uint)window);
        }

        pairs.Add($"{name}.rope.dimension_count", (uint)config.HeadDim);
        pairs.Add($"{name}.rope.freq_base", (float)config.RopeTheta);
        if (config.RopeScaling is { Kind: RopeScalingKind.Linear } scaling)
        {
            pairs.Add($"{name}.rope.scaling.type", "linear");
            pairs.Add($"{name}.rope.scaling.factor", (float)scaling.Factor);
        }

        pairs.Add($"{name}.attention.layer_norm_rms_epsilon", config.RmsNormEps);
        pairs.Add($"{name}.vocab_size", (uint)config.VocabSize);
    }

    private static void AddTokenizer(GgufPairs pairs, Checkpoint checkpoint)
    {
        if (checkpoint.Tokenizer is not { } tokenizer)
        {
            pairs.Add("tokenizer.ggml.model", NoVocabulary);
            return;
        }

        // llama.cpp takes the size of the vocabulary from the list of tokens: every row of the embedding has one.
        int ids = checkpoint.Config.VocabSize;
        SentencePieceModel model = tokenizer.Model;
        string[] pieces = new string[ids];
        float[] scores = new float[ids];
        int[] types = new int[ids];
        for (int id = 0; id < ids; id++)
        {
            (pieces[id], scores[id], types[id]) = id < model.Count
                ? (model.Pieces[id], model.Scores[id], (int)model.Types[id])
                : ($"[PAD{id}]", PadScore, (int)PieceType.Unused);
        }

        pairs.Add("tokenizer.ggml.model", "llama");
        pairs.Add("tokenizer.ggml.tokens", pieces.AsSpan());
        pairs.Add("tokenizer.ggml.scores", scores.AsSpan());
        pairs.Add("tokenizer.ggml.token_type", types.AsSpan());
        AddId("bos", tokenizer.BosId);
        AddId("eos", tokenizer.EosId);
        AddId("unknown", tokenizer.UnknownId);
        AddId("padding", tokenizer.PadId);

        // GGUF has one key for each of the ids that end an answer.
        int[] others = [.. checkpoint.EndOfSequenceIds.Where(id => id != tokenizer.EosId)];
        AddId("eot", others.Length > 0 ? others[0] : null);
        AddId("eom", others.Length > 1 ? others[1] : null);
        pairs.Add("tokenizer.ggml.add_bos_token", tokenizer.AddBos);
        pairs.Add("tokenizer.ggml.add_eos_token", false);
        pairs.Add("tokenizer.ggml.add_space_prefix", model.Options.AddDummyPrefix);
        if (model.Options.RemoveExtraWhitespaces)
        {
            pairs.Add("tokenizer.ggml.remove_extra_whitespaces", true);
        }

        void AddId(string key, int? id)
        {
            if (id is { } known)
            {
                pairs.Add($"tokenizer.ggml.{key}_token_id", (uint)known);
            }
        }
    }
}
