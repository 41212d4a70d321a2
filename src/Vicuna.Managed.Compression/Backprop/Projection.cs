namespace Vicuna.Managed.Compression.Backprop;

/// <summary>A matrix of the model, by what it does; all but the last stand in every block.</summary>
internal enum Projection
{
    /// <summary><c>self_attn.q_proj</c>.</summary>
    Query,

    /// <summary><c>self_attn.k_proj</c>.</summary>
    Key,

    /// <summary><c>self_attn.v_proj</c>.</summary>
    Value,

    /// <summary><c>self_attn.o_proj</c>.</summary>
    Output,

    /// <summary><c>mlp.gate_proj</c>.</summary>
    Gate,

    /// <summary><c>mlp.up_proj</c>.</summary>
    Up,

    /// <summary><c>mlp.down_proj</c>.</summary>
    Down,

    /// <summary>The output head, <c>lm_head</c>.</summary>
    Head,
}
