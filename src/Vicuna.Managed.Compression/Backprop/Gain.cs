namespace Vicuna.Managed.Compression.Backprop;

/// <summary>A gain of the model, by where it stands.</summary>
internal enum Gain
{
    /// <summary><c>input_layernorm</c> of a block.</summary>
    Attention,

    /// <summary><c>post_attention_layernorm</c> of a block.</summary>
    FeedForward,

    /// <summary>The last one, <c>model.norm</c>.</summary>
    Final,
}
