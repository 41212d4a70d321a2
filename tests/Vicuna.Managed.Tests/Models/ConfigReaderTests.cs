using System.Text;
using System.Text.Json.Nodes;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Models;

public sealed class ConfigReaderTests
{
    private const string Minimal = """
        {"model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5, "num_attention_heads": 8, "vocab_size": 512}
        """;

    [Fact]
    public void Read_AbsentKeys_HaveTheDefaultsOfTransformers()
    {
        ModelConfig config = Read(Minimal);
        Assert.Equal(8, config.NumKeyValueHeads);
        Assert.Equal(8, config.HeadDim);
        Assert.Equal(2048, config.MaxPositionEmbeddings);
        Assert.Equal(1e-6f, config.RmsNormEps);
        Assert.Equal(10000, config.RopeTheta);
        Assert.Null(config.RopeScaling);
        Assert.Null(config.SlidingWindow);
        Assert.Null(config.BosTokenId);
        Assert.Empty(config.EosTokenIds);
        Assert.False(config.TieWordEmbeddings || config.AttentionBias || config.MlpBias);
        // Embedding and head, blocks, final norm.
        Assert.Equal((2 * 512 * 64) + (5 * ((4 * 64 * 64) + (3 * 64 * 172) + 128)) + 64, config.ParameterCount);
    }

    [Fact]
    public void Read_ExplicitNulls_AreAbsentKeys()
    {
        ModelConfig config = Read(With(
            ("head_dim", "null"), ("num_key_value_heads", "null"), ("rope_scaling", "null"), ("eos_token_id", "null"), ("bos_token_id", "null"),
            ("quantization_config", "null"), ("hidden_act", "null")));
        Assert.Equal(Read(Minimal).ToString(), config.ToString());
    }

    [Fact]
    public void Read_AllKeys_AreTaken()
    {
        ModelConfig config = Read(With(
            ("num_key_value_heads", "2"), ("head_dim", "16"), ("max_position_embeddings", "4096"), ("rms_norm_eps", "1e-05"), ("rope_theta", "500000"),
            ("tie_word_embeddings", "true"), ("attention_bias", "true"), ("mlp_bias", "true"), ("bos_token_id", "1"), ("eos_token_id", "[2, 5]"),
            ("sliding_window", "77")));
        Assert.Equal((2, 16, 4096, 1e-5f, 500000.0), (config.NumKeyValueHeads, config.HeadDim, config.MaxPositionEmbeddings, config.RmsNormEps,
            config.RopeTheta));
        Assert.True(config.TieWordEmbeddings && config.AttentionBias && config.MlpBias);
        Assert.Equal(1, config.BosTokenId);
        Assert.Equal([2, 5], config.EosTokenIds);
        // Not a key of Llama's config.
        Assert.Null(config.SlidingWindow);
    }

    [Fact]
    public void Read_EndOfSequenceId_MayBeOneOrAList()
    {
        Assert.Equal([7], Read(With(("eos_token_id", "7"))).EosTokenIds);
        Assert.Equal([7, 0], Read(With(("eos_token_id", "[7, 0]"))).EosTokenIds);
        Assert.Empty(Read(With(("eos_token_id", "[]"))).EosTokenIds);
    }

    [Fact]
    public void Read_Mistral_HasAWindowAndNoBiases()
    {
        ModelConfig config = Read(With(("model_type", "\"mistral\""), ("sliding_window", "4096"), ("attention_bias", "true")));
        Assert.Equal("mistral", config.ModelType);
        Assert.Equal(4096, config.SlidingWindow);
        Assert.False(config.AttentionBias);
        Assert.Null(Read(With(("model_type", "\"mistral\""), ("sliding_window", "null"))).SlidingWindow);
    }

    [Theory]
    [InlineData("LlamaForCausalLM", "llama")]
    [InlineData("MistralForCausalLM", "mistral")]
    public void Read_WithoutModelType_GoesByTheClass(string className, string type) =>
        Assert.Equal(type, Read(With(("model_type", "null"), ("architectures", $"[\"{className}\"]"))).ModelType);

    [Fact]
    public void Read_RopeScaling_KnowsBothKeysAndBothPlaces()
    {
        RopeScaling? linear = Read(With(("rope_scaling", """{"type": "linear", "factor": 2}"""))).RopeScaling;
        Assert.Equal((RopeScalingKind.Linear, 2.0), (linear!.Kind, linear.Factor));
        ModelConfig later = Read(With(("rope_parameters", """{"rope_type": "linear", "factor": 2.5, "rope_theta": 99}""")));
        Assert.Equal((2.5, 99.0), (later.RopeScaling!.Factor, later.RopeTheta));
        RopeScaling? llama3 = Read(With(("rope_scaling", """{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192}"""))).RopeScaling;
        Assert.Equal((RopeScalingKind.Llama3, 8.0, 1.0, 4.0, 8192),
            (llama3!.Kind, llama3.Factor, llama3.LowFreqFactor, llama3.HighFreqFactor, llama3.OriginalMaxPositionEmbeddings));
        Assert.Null(Read(With(("rope_scaling", """{"rope_type": "default"}"""))).RopeScaling);
        Assert.Null(Read(With(("rope_parameters", """{"rope_theta": 10000.0, "rope_type": "default"}"""))).RopeScaling);
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", "supported: llama, mistral")]
    [InlineData("model_type", "7", "expected a string, found 7")]
    [InlineData("model_type", "null", "expected a supported model_type")]
    [InlineData("hidden_size", "null", "expected a whole number, found nothing")]
    [InlineData("hidden_size", "\"64\"", "expected a whole number of 32 bits, found \"64\"")]
    [InlineData("hidden_size", "64.5", "found 64.5")]
    [InlineData("hidden_size", "0", "expected 1 to 4194304, found 0")]
    [InlineData("hidden_size", "-64", "found -64")]
    [InlineData("hidden_size", "99999999999999999999", "found 99999999999999999999")]
    [InlineData("hidden_size", "1073741824", "expected 1 to 4194304, found 1073741824")]
    [InlineData("hidden_size", "[64]", "found [64]")]
    [InlineData("hidden_size", "true", "found true")]
    [InlineData("intermediate_size", "null", "found nothing")]
    [InlineData("intermediate_size", "2147483647", "found 2147483647")]
    [InlineData("num_hidden_layers", "0", "found 0")]
    [InlineData("num_hidden_layers", "1000000", "expected 1 to 16384, found 1000000")]
    [InlineData("num_attention_heads", "7", "expected a divisor of hidden_size 64 (or a head_dim), found 7")]
    [InlineData("num_attention_heads", "0", "found 0")]
    [InlineData("num_attention_heads", "-8", "found -8")]
    [InlineData("num_key_value_heads", "3", "expected a divisor of num_attention_heads 8, found 3")]
    [InlineData("num_key_value_heads", "16", "found 16")]
    [InlineData("num_key_value_heads", "0", "found 0")]
    [InlineData("head_dim", "7", "expected an even number for rotary embedding, found 7")]
    [InlineData("head_dim", "0", "found 0")]
    [InlineData("head_dim", "4194304", "exceed 4194304")]
    [InlineData("vocab_size", "0", "found 0")]
    [InlineData("vocab_size", "2000000000", "found 2000000000")]
    [InlineData("max_position_embeddings", "0", "found 0")]
    [InlineData("max_position_embeddings", "2147483647", "found 2147483647")]
    [InlineData("rms_norm_eps", "-1", "found -1")]
    [InlineData("rms_norm_eps", "1e39", "expected a finite number")]
    [InlineData("rms_norm_eps", "1e999", "expected a finite number, found 1e999")]
    [InlineData("rms_norm_eps", "\"small\"", "expected a finite number, found \"small\"")]
    [InlineData("rope_theta", "0", "expected a positive number, found 0")]
    [InlineData("rope_theta", "-10000", "found -10000")]
    [InlineData("rope_theta", "{}", "found {}")]
    [InlineData("tie_word_embeddings", "1", "expected true or false, found 1")]
    [InlineData("attention_bias", "\"no\"", "expected true or false, found \"no\"")]
    [InlineData("eos_token_id", "512", "expected 0 to 511, found 512")]
    [InlineData("eos_token_id", "[2, -1]", "found -1")]
    [InlineData("eos_token_id", "\"</s>\"", "expected a whole number of 32 bits")]
    [InlineData("eos_token_id", "[[2]]", "found [2]")]
    [InlineData("bos_token_id", "-1", "expected 0 to 511, found -1")]
    [InlineData("hidden_act", "\"gelu\"", "activation 'gelu' is not supported (supported: silu)")]
    [InlineData("partial_rotary_factor", "0.5", "expected 1, found 0.5")]
    [InlineData("rope_scaling", "\"linear\"", "expected an object, found \"linear\"")]
    [InlineData("architectures", "\"LlamaForCausalLM\"", "expected a list of strings", "model_type")]
    public void Read_BadValue_IsRefusedNamingKeyExpectedAndFound(string key, string value, string message, string? without = null)
    {
        string json = without is null ? With((key, value)) : With((key, value), (without, "null"));
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Read(json));
        Assert.Equal("config.json", found.FileName);
        Assert.Equal(key, found.Item);
        Assert.Contains(message, found.Message);
        Assert.DoesNotContain('\n', found.Message);
    }

    [Theory]
    [InlineData("""{"rope_type": "yarn", "factor": 4}""", "rope_scaling", "type 'yarn' is not supported (supported: default, linear, llama3)")]
    [InlineData("""{"type": "dynamic", "factor": 4}""", "rope_scaling", "'dynamic'")]
    [InlineData("""{"rope_type": "linear"}""", "rope_scaling.factor", "expected a number, found nothing")]
    [InlineData("""{"rope_type": "linear", "factor": 0}""", "rope_scaling.factor", "expected a positive number, found 0")]
    [InlineData("""{"rope_type": "linear", "factor": "4"}""", "rope_scaling.factor", "found \"4\"")]
    [InlineData("""{"rope_type": 4}""", "rope_scaling.rope_type", "expected a string, found 4")]
    [InlineData("""{"rope_type": "llama3", "factor": 8}""", "rope_scaling.low_freq_factor", "found nothing")]
    [InlineData("""{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}""", "rope_scaling.original_max_position_embeddings", "found nothing")]
    [InlineData("""{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 8192}""", "rope_scaling", "found 4, 4, 8192")]
    [InlineData("""{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 0}""", "rope_scaling", "found 1, 4, 0")]
    public void Read_BadRopeScaling_IsRefused(string value, string item, string message)
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Read(With(("rope_scaling", value))));
        Assert.Equal(item, found.Item);
        Assert.Contains(message, found.Message);
    }

    [Theory]
    [InlineData("""{"quant_method": "gptq", "bits": 4}""", "'gptq'")]
    [InlineData("""{"bits": 4}""", "'unknown'")]
    [InlineData("{}", "'unknown'")]
    [InlineData("""{"quant_method": 7}""", "expected a string, found 7")]
    public void Read_QuantizedWeights_AreRefused(string value, string message)
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Read(With(("quantization_config", value))));
        Assert.StartsWith("quantization_config", found.Item);
        Assert.Contains(message, found.Message);
    }

    [Theory]
    [InlineData("", "not a valid JSON file")]
    [InlineData("[]", "expected a JSON object, found Array")]
    [InlineData("7", "expected a JSON object, found Number")]
    [InlineData("{", "not a valid JSON file")]
    [InlineData("{\"hidden_size\": 64,}", "not a valid JSON file")]
    [InlineData("{\"hidden_size\": 64, \"hidden_size\": 65}", "not a valid JSON file")]
    [InlineData("{\"hidden_size\": 64, \"hidden\\u005fsize\": 65}", "not a valid JSON file")]
    [InlineData("{\"rope_scaling\": {\"factor\": 1, \"factor\": 2}}", "not a valid JSON file")]
    [InlineData("{\"rms_norm_eps\": NaN}", "not a valid JSON file")]
    [InlineData("{\"model_type\": \"\\ud800\"}", "")]
    [InlineData("{\"\\ud800\": 1}", "")]
    [InlineData("{\"rope_scaling\": {\"\\udc00\": 1, \"type\": \"linear\", \"factor\": 2}}", "")]
    [InlineData("// a comment\n{}", "not a valid JSON file")]
    public void Read_NoGoodJson_IsRefused(string json, string message)
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Read(json));
        Assert.Contains(message, found.Message);
        Assert.DoesNotContain('\n', found.Message);
    }

    [Fact]
    public void Read_HostileNesting_IsRefusedQuickly()
    {
        string deep = string.Concat(Enumerable.Repeat("{\"a\":", 100_000));
        Assert.Throws<ModelFormatException>(() => Read(deep));
        Assert.Throws<ModelFormatException>(() => Read(With(("x", new string('[', 65) + new string(']', 65)))));
        Assert.NotNull(Read(With(("x", new string('[', 60) + new string(']', 60)))));
    }

    [Fact]
    public void Read_BytesThatAreNoUtf8_AreRefused() =>
        Assert.Contains("UTF-8", Assert.Throws<ModelFormatException>(() =>
            ConfigReader.Read(new byte[] { (byte)'{', 0xFF, (byte)'}' }, "config.json")).Message);

    [Fact]
    public void Read_TooLargeAFile_IsRefused() =>
        Assert.Contains("at most 16777216 bytes", Assert.Throws<ModelFormatException>(() =>
            ConfigReader.Read(new byte[(16 << 20) + 1], "config.json")).Message);

    [Fact]
    public void Read_LongHostileValues_AreShortenedInTheMessage()
    {
        string longText = new('x', 100_000);
        Assert.True(Assert.Throws<ModelFormatException>(() => Read(With(("hidden_size", $"\"{longText}\"")))).Message.Length < 300);
        Assert.True(Assert.Throws<ModelFormatException>(() => Read(With(("model_type", $"\"{longText}\"")))).Message.Length < 300);
        Assert.True(Assert.Throws<ModelFormatException>(() => Read(With(("model_type", "null"), ("architectures", $"[\"{longText}\"]")))).Message.Length < 300);
        Assert.True(Assert.Throws<ModelFormatException>(() => Read(With(("x", $"{{\"{longText}\": 1, \"{longText}\": 2}}")))).Message.Length < 300);
    }

    private static ModelConfig Read(string json) => ConfigReader.Read(Encoding.UTF8.GetBytes(json), "config.json");

    // The smallest config with some members added or replaced.
    private static string With(params (string Key, string Json)[] members)
    {
        System.Text.Json.Nodes.JsonObject json = JsonNode.Parse(Minimal)!.AsObject();
        foreach ((string key, _) in members)
        {
            json.Remove(key);
        }

        string rest = json.ToJsonString()[1..];
        return "{" + string.Concat(members.Select(member => $"\"{member.Key}\":{member.Json},")) + rest;
    }
}
