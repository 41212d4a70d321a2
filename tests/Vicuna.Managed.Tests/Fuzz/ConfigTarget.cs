using System.Text;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads config.json; what is accepted must have a size and survive being written and read again.</summary>
internal static class ConfigTarget
{
    private const string Sizes =
        "\"hidden_size\":64,\"intermediate_size\":176,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":512,\"rms_norm_eps\":1e-05";

    public static string Name => "config";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            $"{{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_act\":\"silu\",{Sizes},"
                + "\"num_key_value_heads\":2,\"bos_token_id\":1,\"eos_token_id\":2}",
            $"{{\"model_type\":\"llama\",{Sizes},\"rope_scaling\":{{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                + "\"original_max_position_embeddings\":8192},\"rope_theta\":500000.0,\"eos_token_id\":[2,3],\"attention_bias\":true,\"mlp_bias\":false}",
            $"{{\"model_type\":\"mistral\",{Sizes},\"sliding_window\":4096,\"head_dim\":32,\"max_position_embeddings\":32768,\"tie_word_embeddings\":true}}",
            $"{{\"architectures\":[\"LlamaForCausalLM\"],{Sizes},\"rope_parameters\":{{\"type\":\"linear\",\"factor\":2,\"rope_theta\":10000}},"
                + "\"partial_rotary_factor\":1}",
            $"{{\"model_type\":\"llama\",{Sizes},\"quantization_config\":{{\"quant_method\":\"gptq\"}}}}",
            $"{{\"model_type\":\"gpt2\",{Sizes},\"architectures\":null}}",
            "{\"model_type\":\"\\ud800\"}",
            "[]",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        ModelConfig config = ConfigReader.Read(input, "fuzz.json");
        Assert.True(config.ParameterCount > 0);
        ModelConfig again = ConfigReader.Read(ConfigWriter.Write(config, "float16"), "again.json");
        Assert.Equal(config with { EosTokenIds = [] }, again with { EosTokenIds = [] });
        Assert.Equal(config.EosTokenIds, again.EosTokenIds);
    }
}
