namespace Vicuna.Managed.Models;

/// <summary>
/// The shape of a Llama-family model. Members are the keys of Hugging Face's config.json in PascalCase; a GGUF file's metadata is
/// translated to them. Instances are validated: sizes are positive, heads divide evenly.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>The architecture: <c>llama</c> or <c>mistral</c> (<c>model_type</c>).</summary>
    public required string ModelType { get; init; }

    /// <summary>D, width of the residual stream (<c>hidden_size</c>).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F, width of the feed-forward network (<c>intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>L, number of Transformer blocks (<c>num_hidden_layers</c>).</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary>H, number of query heads (<c>num_attention_heads</c>).</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Hkv, number of key and value heads; a divisor of H (<c>num_key_value_heads</c>, H where absent).</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>dh, elements per head, even (<c>head_dim</c>, D / H where absent).</summary>
    public required int HeadDim { get; init; }

    /// <summary>V, number of token ids (<c>vocab_size</c>).</summary>
    public required int VocabSize { get; init; }

    /// <summary>Longest sequence in tokens (<c>max_position_embeddings</c>).</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>ε of the normalizations, dimensionless (<c>rms_norm_eps</c>).</summary>
    public required float RmsNormEps { get; init; }

    /// <summary>Base of the rotary frequencies, dimensionless (<c>rope_theta</c>, 10000 where absent).</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>Stretching of the rotary embedding, or null (<c>rope_scaling</c>).</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>Whether the output head is the token embedding (<c>tie_word_embeddings</c>).</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Whether the four attention projections have biases (<c>attention_bias</c>).</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the three feed-forward projections have biases (<c>mlp_bias</c>).</summary>
    public bool MlpBias { get; init; }

    /// <summary>Positions that a token attends to, itself included, or null for all (<c>sliding_window</c>, Mistral).</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>Id that begins a sequence, or null (<c>bos_token_id</c>).</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Ids that end an answer (<c>eos_token_id</c>, a number or a list).</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Number of weights: embedding, blocks, final norm and, unless tied, the output head.</summary>
    public long ParameterCount
    {
        get
        {
            long hidden = HiddenSize;
            long queries = (long)NumAttentionHeads * HeadDim;
            long keys = (long)NumKeyValueHeads * HeadDim;
            long block = (2 * hidden * queries) + (2 * hidden * keys) + (3 * hidden * IntermediateSize) + (2 * hidden);
            block += AttentionBias ? queries + (2 * keys) + hidden : 0;
            block += MlpBias ? (2L * IntermediateSize) + hidden : 0;
            return checked((hidden * VocabSize * (TieWordEmbeddings ? 1 : 2)) + (block * NumHiddenLayers) + hidden);
        }
    }

    // Larger than any published model by two orders of magnitude, small enough that no product of two sizes overflows 63 bits.
    private const int MaxWidth = 1 << 22;
    private const int MaxLayers = 1 << 14;
    private const int MaxVocabulary = 1 << 24;
    private const int MaxContext = 1 << 28;

    /// <summary>Checks that the numbers make a model.</summary>
    /// <param name="fileName">Where they come from, for the message.</param>
    /// <exception cref="ModelFormatException">A number is out of range or two do not fit together.</exception>
    internal void Validate(string fileName)
    {
        Range(HiddenSize, MaxWidth, "hidden_size");
        Range(IntermediateSize, MaxWidth, "intermediate_size");
        Range(NumHiddenLayers, MaxLayers, "num_hidden_layers");
        Range(NumAttentionHeads, MaxWidth, "num_attention_heads");
        Range(NumKeyValueHeads, MaxWidth, "num_key_value_heads");
        Range(HeadDim, MaxWidth, "head_dim");
        Range(VocabSize, MaxVocabulary, "vocab_size");
        Range(MaxPositionEmbeddings, MaxContext, "max_position_embeddings");
        Require(NumAttentionHeads % NumKeyValueHeads == 0, "num_key_value_heads", $"expected a divisor of num_attention_heads {NumAttentionHeads}, found {NumKeyValueHeads}");
        Require(HeadDim % 2 == 0, "head_dim", $"expected an even number for rotary embedding, found {HeadDim}");
        Require((long)NumAttentionHeads * HeadDim <= MaxWidth, "head_dim", $"{NumAttentionHeads} heads of {HeadDim} exceed {MaxWidth} elements");
        Require(float.IsFinite(RmsNormEps) && RmsNormEps >= 0, "rms_norm_eps", $"expected a finite number of at least 0, found {RmsNormEps}");
        Require(double.IsFinite(RopeTheta) && RopeTheta > 0, "rope_theta", $"expected a positive number, found {RopeTheta}");
        Require(SlidingWindow is null or > 0, "sliding_window", $"expected a positive number, found {SlidingWindow}");
        foreach (int id in EosTokenIds)
        {
            Require(id >= 0 && id < VocabSize, "eos_token_id", $"expected 0 to {VocabSize - 1}, found {id}");
        }

        Require(BosTokenId is null || (BosTokenId >= 0 && BosTokenId < VocabSize), "bos_token_id", $"expected 0 to {VocabSize - 1}, found {BosTokenId}");
        if (RopeScaling is { } scaling)
        {
            Require(double.IsFinite(scaling.Factor) && scaling.Factor > 0, "rope_scaling.factor", $"expected a positive number, found {scaling.Factor}");
            Require(
                scaling.Kind != RopeScalingKind.Llama3 || (scaling.LowFreqFactor > 0 && scaling.HighFreqFactor > scaling.LowFreqFactor && scaling.OriginalMaxPositionEmbeddings > 0),
                "rope_scaling",
                $"expected 0 < low_freq_factor < high_freq_factor and a positive original_max_position_embeddings, found {scaling.LowFreqFactor}, {scaling.HighFreqFactor}, {scaling.OriginalMaxPositionEmbeddings}");
        }

        void Range(int value, int most, string key) => Require(value >= 1 && value <= most, key, $"expected 1 to {most}, found {value}");

        void Require(bool holds, string key, string problem)
        {
            if (!holds)
            {
                throw new ModelFormatException(fileName, problem, key);
            }
        }
    }
}
