namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// Translates the names of GGUF's architecture <c>llama</c> (Llama, Vicuna, Mistral) to Hugging Face's. Names that are not in the table stay as
/// they are, among them <c>rope_freqs.weight</c>. Source: llama.cpp's gguf-py, <c>tensor_mapping.py</c>.
/// <para>
/// The rows of <c>attn_q</c> and <c>attn_k</c> come in another order than in Hugging Face's files, see <see cref="GgufRowOrder"/>: the name
/// is translated, the data is not touched.
/// </para>
/// </summary>
internal static class GgufTensorNames
{
    private const string LlamaArchitecture = "llama";
    private const string BlockPrefix = "blk.";
    private const int MaxLayerDigits = 6;

    /// <summary>The name in Hugging Face's scheme.</summary>
    /// <param name="architecture">The file's <c>general.architecture</c>.</param>
    /// <param name="name">The name in the file.</param>
    public static string Translate(string architecture, string name)
    {
        int dot = name.LastIndexOf('.');
        if (architecture != LlamaArchitecture || dot < 0 || name.AsSpan(dot) is not (".weight" or ".bias"))
        {
            return name;
        }

        ReadOnlySpan<char> stem = name.AsSpan(0, dot);
        ReadOnlySpan<char> suffix = name.AsSpan(dot);
        if (!stem.StartsWith(BlockPrefix, StringComparison.Ordinal))
        {
            string? top = stem switch
            {
                "token_embd" => "model.embed_tokens",
                "output_norm" => "model.norm",
                "output" => "lm_head",
                _ => null,
            };
            return top is null ? name : $"{top}{suffix}";
        }

        ReadOnlySpan<char> rest = stem[BlockPrefix.Length..];
        int end = rest.IndexOf('.');
        string? part = end < 0 ? null : rest[(end + 1)..] switch
        {
            "attn_norm" => "input_layernorm",
            "attn_q" => "self_attn.q_proj",
            "attn_k" => "self_attn.k_proj",
            "attn_v" => "self_attn.v_proj",
            "attn_output" => "self_attn.o_proj",
            "ffn_norm" => "post_attention_layernorm",
            "ffn_gate" => "mlp.gate_proj",
            "ffn_up" => "mlp.up_proj",
            "ffn_down" => "mlp.down_proj",
            _ => null,
        };
        return part is not null && IsLayer(rest[..end]) ? $"model.layers.{rest[..end]}.{part}{suffix}" : name;
    }

    // Only the canonical spelling of a number: "blk.00." must not become another name for layer 0.
    private static bool IsLayer(ReadOnlySpan<char> digits) =>
        digits.Length is > 0 and <= MaxLayerDigits && !digits.ContainsAnyExceptInRange('0', '9') && (digits.Length == 1 || digits[0] != '0');
}
