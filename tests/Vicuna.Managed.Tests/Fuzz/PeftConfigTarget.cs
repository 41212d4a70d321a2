using System.Text;
using Vicuna.Managed.Adapters;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads adapter_config.json; what is accepted has a scale and survives being written and read again.</summary>
internal static class PeftConfigTarget
{
    public static string Name => "peft-config";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            "{\"peft_type\":\"LORA\",\"task_type\":\"CAUSAL_LM\",\"r\":8,\"lora_alpha\":16,\"lora_dropout\":0.05,\"bias\":\"none\","
                + "\"target_modules\":[\"q_proj\",\"down_proj\"],\"base_model_name_or_path\":\"a/b\",\"fan_in_fan_out\":false,\"rank_pattern\":{}}",
            "{\"peft_type\":\"LORA\",\"r\":16384,\"lora_alpha\":1e30,\"use_rslora\":true,\"target_modules\":\"all-linear\",\"init_lora_weights\":\"gaussian\"}",
            "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":-1,\"bias\":\"all\",\"use_dora\":true,\"modules_to_save\":[\"lm_head\"]}",
            "{\"peft_type\":\"IA3\",\"r\":0,\"lora_alpha\":null,\"target_modules\":[1]}",
            "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"target_modules\":[\"\\ud800\"]}",
            "[]",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        PeftConfig config = PeftConfigFile.Read(input, "fuzz.json");
        Assert.True(float.IsFinite(config.Scale));
        PeftConfig again = PeftConfigFile.Read(PeftConfigFile.Write(config), "again.json");
        Assert.Equal(config.TargetModules, again.TargetModules);
        Assert.Equal(config with { TargetModules = [] }, again with { TargetModules = [] });
    }
}
