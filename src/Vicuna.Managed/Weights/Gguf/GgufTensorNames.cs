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
    private const string LayerPrefix = "model.layers.";
    private const int MaxLayerDigits = 6;

    private static readonly (string Gguf, string HuggingFace)[] Top = [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

    private static readonly (string Gguf, string HuggingFace)[] Parts =
    [
        ("attn_norm", "input_layernorm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"), ("ffn_norm", "post_attention_layernorm"), ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];

    /// <summary>The name in Hugging Face's scheme.</summary>
    /// <param name="architecture">The file's <c>general.architecture</c>.</param>
    /// <param name="name">The name in the file.</param>
    public static string Translate(string architecture, string name) =>
        architecture == LlamaArchitecture ? Translate(name, BlockPrefix, LayerPrefix, static pair => pair.Gguf, static pair => pair.HuggingFace) : name;

    /// <summary>The name in a file of the architecture <c>llama</c>: the inverse of <see cref="Translate(string, string)"/>.</summary>
    /// <param name="name">The name in Hugging Face's scheme.</param>
    public static string ToGguf(string name) => Translate(name, LayerPrefix, BlockPrefix, static pair => pair.HuggingFace, static pair => pair.Gguf);

    private static string Translate(
        string name, string fromPrefix, string toPrefix, Func<(string Gguf, string HuggingFace), string> from, Func<(string Gguf, string HuggingFace), string> to)
    {
        int dot = name.LastIndexOf('.');
        if (dot < 0 || name.AsSpan(dot) is not (".weight" or ".bias"))
        {
            return name;
        }

        string stem = name[..dot];
        string suffix = name[dot..];
        if (!stem.StartsWith(fromPrefix, StringComparison.Ordinal))
        {
            return Find(Top, stem) is { } top ? top + suffix : name;
        }

        string rest = stem[fromPrefix.Length..];
        int end = rest.IndexOf('.', StringComparison.Ordinal);
        return end >= 0 && IsLayer(rest.AsSpan(0, end)) && Find(Parts, rest[(end + 1)..]) is { } part ? $"{toPrefix}{rest[..end]}.{part}{suffix}" : name;

        string? Find((string, string)[] table, string stem)
        {
            int at = Array.FindIndex(table, pair => from(pair) == stem);
            return at < 0 ? null : to(table[at]);
        }
    }

    // Only the canonical spelling of a number: "blk.00." must not become another name for layer 0.
    private static bool IsLayer(ReadOnlySpan<char> digits) =>
        digits.Length is > 0 and <= MaxLayerDigits && !digits.ContainsAnyExceptInRange('0', '9') && (digits.Length == 1 || digits[0] != '0');
}
