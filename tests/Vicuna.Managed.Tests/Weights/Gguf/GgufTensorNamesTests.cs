using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Weights.Gguf;

public sealed class GgufTensorNamesTests
{
    [Theory]
    [InlineData("token_embd.weight", "model.embed_tokens.weight")]
    [InlineData("output_norm.weight", "model.norm.weight")]
    [InlineData("output.weight", "lm_head.weight")]
    [InlineData("blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight")]
    [InlineData("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight")]
    [InlineData("blk.1.attn_q.bias", "model.layers.1.self_attn.q_proj.bias")]
    [InlineData("blk.12.attn_k.weight", "model.layers.12.self_attn.k_proj.weight")]
    [InlineData("blk.12.attn_v.weight", "model.layers.12.self_attn.v_proj.weight")]
    [InlineData("blk.79.attn_output.weight", "model.layers.79.self_attn.o_proj.weight")]
    [InlineData("blk.9.ffn_norm.weight", "model.layers.9.post_attention_layernorm.weight")]
    [InlineData("blk.9.ffn_gate.weight", "model.layers.9.mlp.gate_proj.weight")]
    [InlineData("blk.9.ffn_up.weight", "model.layers.9.mlp.up_proj.weight")]
    [InlineData("blk.9.ffn_down.weight", "model.layers.9.mlp.down_proj.weight")]
    public void Translate_KnownName_GivesHuggingFaceName(string name, string expected) => Assert.Equal(expected, GgufTensorNames.Translate("llama", name));

    [Theory]
    [InlineData("rope_freqs.weight")]
    [InlineData("blk.0.ffn_gate_exps.weight")]
    [InlineData("blk.0.attn_q")]
    [InlineData("blk.0.weight")]
    [InlineData("blk.0..weight")]
    [InlineData("blk..attn_q.weight")]
    [InlineData("blk.00.attn_q.weight")]
    [InlineData("blk.01.attn_q.weight")]
    [InlineData("blk.+1.attn_q.weight")]
    [InlineData("blk.1 .attn_q.weight")]
    [InlineData("blk.٣.attn_q.weight")]
    [InlineData("blk.1234567.attn_q.weight")]
    [InlineData("blk.weight")]
    [InlineData("output.scale")]
    [InlineData("model.norm.weight")]
    [InlineData(".weight")]
    [InlineData(".")]
    [InlineData("")]
    public void Translate_OtherName_StaysAsItIs(string name) => Assert.Equal(name, GgufTensorNames.Translate("llama", name));

    [Fact]
    public void Translate_OtherArchitecture_StaysAsItIs() => Assert.Equal("output.weight", GgufTensorNames.Translate("gemma", "output.weight"));
}
