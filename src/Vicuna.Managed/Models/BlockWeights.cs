using Vicuna.Managed.Kernels.Matmul;

namespace Vicuna.Managed.Models;

/// <summary>The weights of one Transformer block. Biases are empty where the model has none.</summary>
internal sealed record BlockWeights
{
    /// <summary>Gain before attention, f32 <c>[D]</c> (<c>input_layernorm.weight</c>).</summary>
    public required float[] AttentionNorm { get; init; }

    /// <summary><c>[H·dh, D]</c> (<c>self_attn.q_proj.weight</c>).</summary>
    public required WeightMatrix Query { get; init; }

    /// <summary><c>[Hkv·dh, D]</c> (<c>self_attn.k_proj.weight</c>).</summary>
    public required WeightMatrix Key { get; init; }

    /// <summary><c>[Hkv·dh, D]</c> (<c>self_attn.v_proj.weight</c>).</summary>
    public required WeightMatrix Value { get; init; }

    /// <summary><c>[D, H·dh]</c> (<c>self_attn.o_proj.weight</c>).</summary>
    public required WeightMatrix Output { get; init; }

    /// <summary>Gain before the feed-forward network, f32 <c>[D]</c> (<c>post_attention_layernorm.weight</c>).</summary>
    public required float[] FeedForwardNorm { get; init; }

    /// <summary><c>[F, D]</c> (<c>mlp.gate_proj.weight</c>).</summary>
    public required WeightMatrix Gate { get; init; }

    /// <summary><c>[F, D]</c> (<c>mlp.up_proj.weight</c>).</summary>
    public required WeightMatrix Up { get; init; }

    /// <summary><c>[D, F]</c> (<c>mlp.down_proj.weight</c>).</summary>
    public required WeightMatrix Down { get; init; }

    /// <summary>f32 <c>[H·dh]</c> or empty (<c>self_attn.q_proj.bias</c>).</summary>
    public required float[] QueryBias { get; init; }

    /// <summary>f32 <c>[Hkv·dh]</c> or empty (<c>self_attn.k_proj.bias</c>).</summary>
    public required float[] KeyBias { get; init; }

    /// <summary>f32 <c>[Hkv·dh]</c> or empty (<c>self_attn.v_proj.bias</c>).</summary>
    public required float[] ValueBias { get; init; }

    /// <summary>f32 <c>[D]</c> or empty (<c>self_attn.o_proj.bias</c>).</summary>
    public required float[] OutputBias { get; init; }

    /// <summary>f32 <c>[F]</c> or empty (<c>mlp.gate_proj.bias</c>).</summary>
    public required float[] GateBias { get; init; }

    /// <summary>f32 <c>[F]</c> or empty (<c>mlp.up_proj.bias</c>).</summary>
    public required float[] UpBias { get; init; }

    /// <summary>f32 <c>[D]</c> or empty (<c>mlp.down_proj.bias</c>).</summary>
    public required float[] DownBias { get; init; }
}
