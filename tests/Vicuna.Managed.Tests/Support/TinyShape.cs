using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Support;

/// <summary>The shape of a <see cref="TinyModel"/>.</summary>
internal sealed record TinyShape
{
    public string ModelType { get; init; } = "llama";

    public int Hidden { get; init; } = 32;

    public int Intermediate { get; init; } = 56;

    public int Layers { get; init; } = 2;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 4;

    /// <summary>Null: the config does not say, and it is hidden / heads.</summary>
    public int? HeadDim { get; init; }

    public int Vocab { get; init; } = 96;

    public int Context { get; init; } = 320;

    public bool Tied { get; init; }

    public bool AttentionBias { get; init; }

    public bool MlpBias { get; init; }

    public int? SlidingWindow { get; init; }

    /// <summary>Further members of config.json as JSON without braces, for example a rope_scaling.</summary>
    public string Extra { get; init; } = string.Empty;

    /// <summary>Storage type of all tensors: F32, F16 or BF16.</summary>
    public TensorType Type { get; init; } = TensorType.F32;

    /// <summary>Whether the tokenizer of the embedded model goes with it (1024 pieces).</summary>
    public bool HasTokenizer { get; init; }

    public int EffectiveHeadDim => HeadDim ?? Hidden / Heads;

    public override string ToString() => $"{ModelType} {Type} {Hidden}/{Heads}/{KeyValueHeads}";
}
