using System.Text;
using System.Text.Json;
using Vicuna.Managed.Adapters;

namespace Vicuna.Managed.Tests.Adapters;

public sealed class PeftConfigFileTests
{
    private const string Needed = "\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":16";

    [Fact]
    public void Read_OfAnOrdinaryFile_TakesEveryKey()
    {
        PeftConfig config = Read("""
            {"alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "nota-ai/x", "bias": "none", "fan_in_fan_out": false,
             "inference_mode": true, "init_lora_weights": true, "layer_replication": null, "layers_to_transform": [1, 2], "lora_alpha": 16,
             "lora_dropout": 0.05, "modules_to_save": null, "peft_type": "LORA", "r": 8, "rank_pattern": { }, "revision": null,
             "target_modules": ["k_proj", "q_proj"], "task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": false, "unheard_of": [{"a": 1}]}
            """);
        Assert.Equal(8, config.Rank);
        Assert.Equal(16, config.Alpha);
        Assert.Equal(0.05, config.Dropout);
        Assert.Equal(2f, config.Scale);
        Assert.Equal("nota-ai/x", config.BaseModel);
        Assert.Equal(["k_proj", "q_proj"], config.TargetModules);
        Assert.Equal((float)(16 / Math.Sqrt(8)), Read($"{{{Needed},\"use_rslora\":true}}").Scale);
    }

    [Theory]
    [InlineData("\"all-linear\"")]
    [InlineData("\".*_proj\"")]
    [InlineData("null")]
    public void Read_OfTargetModulesThatAreNoList_LeavesThemToTheTensors(string value) =>
        Assert.Empty(Read($"{{{Needed},\"target_modules\":{value}}}").TargetModules);

    [Theory]
    [InlineData("peft_type", "\"IA3\"")]
    [InlineData("peft_type", "null")]
    [InlineData("task_type", "\"SEQ_CLS\"")]
    [InlineData("bias", "\"lora_only\"")]
    [InlineData("use_dora", "true")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("lora_bias", "true")]
    [InlineData("rank_pattern", "{\"q_proj\":4}")]
    [InlineData("alpha_pattern", "{\"q_proj\":4}")]
    [InlineData("modules_to_save", "[\"lm_head\"]")]
    [InlineData("layer_replication", "[[0,4]]")]
    [InlineData("trainable_token_indices", "[1]")]
    [InlineData("init_lora_weights", "\"pissa_niter_4\"")]
    [InlineData("r", "0")]
    [InlineData("r", "16385")]
    [InlineData("r", "1.5")]
    [InlineData("r", "null")]
    [InlineData("lora_alpha", "null")]
    [InlineData("lora_alpha", "1e300")]
    [InlineData("lora_alpha", "\"16\"")]
    [InlineData("lora_dropout", "1.5")]
    [InlineData("use_rslora", "1")]
    [InlineData("target_modules", "[1]")]
    [InlineData("target_modules", "7")]
    [InlineData("base_model_name_or_path", "[]")]
    public void Read_OfWhatIsWrongOrNotSupported_NamesTheKey(string key, string value)
    {
        Dictionary<string, string> members = new() { ["peft_type"] = "\"LORA\"", ["r"] = "8", ["lora_alpha"] = "16", [key] = value };
        ModelFormatException found = Assert.Throws<ModelFormatException>(() =>
            Read("{" + string.Join(',', members.Select(member => $"\"{member.Key}\":{member.Value}")) + "}"));
        Assert.Equal(key, found.Item);
        Assert.StartsWith("adapter_config.json: ", found.Message, StringComparison.Ordinal);
        Assert.Contains("expected", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_OfSettings_GivesWhatPeftReadsAndTheSameBytesAgain()
    {
        PeftConfig config = new() { Rank = 4, Alpha = 8, Dropout = 0.05, TargetModules = ["q_proj", "up_proj"], BaseModel = "x/y" };
        byte[] bytes = PeftConfigFile.Write(config);
        Assert.Equal(bytes, PeftConfigFile.Write(config with { }));
        Assert.DoesNotContain("rslora", Encoding.UTF8.GetString(bytes), StringComparison.Ordinal);
        Assert.DoesNotContain((byte)'\r', bytes);
        using JsonDocument json = JsonDocument.Parse(bytes);
        Assert.Equal("LORA", json.RootElement.GetProperty("peft_type").GetString());
        Assert.Equal("CAUSAL_LM", json.RootElement.GetProperty("task_type").GetString());
        Assert.Equal("none", json.RootElement.GetProperty("bias").GetString());
        Assert.Equal("8", json.RootElement.GetProperty("lora_alpha").GetRawText());
        Assert.True(json.RootElement.GetProperty("inference_mode").GetBoolean());
        Assert.False(json.RootElement.GetProperty("fan_in_fan_out").GetBoolean());
        PeftConfig again = PeftConfigFile.Read(bytes, "x");
        Assert.Equal(config with { TargetModules = [] }, again with { TargetModules = [] });
        Assert.True(PeftConfigFile.Read(PeftConfigFile.Write(config with { UseRslora = true }), "x").UseRslora);
    }

    private static PeftConfig Read(string json) => PeftConfigFile.Read(Encoding.UTF8.GetBytes(json), "adapter_config.json");
}
