using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Checkpoints;

public sealed class GenerationDefaultsTests
{
    private static readonly TinyShape Small = new() { Layers = 1, Context = 64 };

    [Theory]
    [InlineData("{}", 0.0, null, null)]
    [InlineData("""{"temperature": 0.7, "top_p": 0.9}""", 0.7, null, 0.9)]
    [InlineData("""{"do_sample": false, "temperature": 0.7, "top_p": 0.9}""", 0.0, null, null)]
    [InlineData("""{"do_sample": true}""", 1.0, null, null)]
    [InlineData("""{"do_sample": true, "top_k": 40}""", 1.0, 40, null)]
    [InlineData("""{"top_k": 40, "top_p": null}""", 1.0, 40, null)]
    public void DefaultOptions_Sampling_IsWhatTheFileSays(string json, double temperature, int? topK, double? topP)
    {
        using LanguageModel model = Load(json);
        Assert.Equal((temperature, topK, topP), (model.DefaultOptions.Temperature, model.DefaultOptions.TopK, model.DefaultOptions.TopP));
    }

    [Fact]
    public void DefaultOptions_WithoutTheFile_AreGreedy()
    {
        using LanguageModel model = new TinyModel(Small).Load();
        using Generator generator = model.CreateGenerator();
        Assert.Equal(new GenerationOptions(), model.DefaultOptions);
        generator.Append([1]);
        float[] logits = generator.GetLogits().ToArray();
        Assert.Equal(Array.IndexOf(logits, logits.Max()), generator.Next());
    }

    [Fact]
    public void DefaultOptions_OfTheModel_FillWhatTheCallerLeavesOpen()
    {
        using LanguageModel model = Load("""{"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 5, "repetition_penalty": 1.2, "min_p": 0.05, "top_k": 9}""");
        using Generator generator = model.CreateGenerator(new GenerationOptions { TopP = 0.5 });
        GenerationOptions options = generator.Options;
        Assert.Equal((0.7, 0.5, 5, 1.2, 0.05, 9), (options.Temperature, options.TopP, options.MaxNewTokens, options.RepetitionPenalty, options.MinP,
            options.TopK));
        Assert.Equal(5, model.Generate(new[] { 1 }).TokenIds.Count);
        Assert.Equal(3, model.Generate(new[] { 1 }, new GenerationOptions { MaxNewTokens = 3 }).TokenIds.Count);
    }

    [Theory]
    [InlineData("""{"eos_token_id": 7}""", new[] { 7 })]
    [InlineData("""{"eos_token_id": [7, 9]}""", new[] { 7, 9 })]
    [InlineData("""{"eos_token_id": []}""", new[] { 4 })]
    [InlineData("{}", new[] { 4 })]
    public void EndOfSequenceIds_OfTheFile_WinOverTheConfigs(string json, int[] expected)
    {
        using LanguageModel model = Load(json);
        Assert.Equal(expected, model.EndOfSequenceIds.Order());
    }

    [Theory]
    [InlineData("""{"temperature": "hot"}""", "temperature", "expected a finite number, found \"hot\"")]
    [InlineData("""{"temperature": 1e999}""", "temperature", "1e999")]
    [InlineData("""{"temperature": -1}""", null, "Temperature: expected 0 to 100, found -1")]
    [InlineData("""{"top_p": 0}""", null, "TopP: expected above 0")]
    [InlineData("""{"top_p": 1.5}""", null, "found 1.5")]
    [InlineData("""{"top_k": -3}""", null, "TopK: expected at least 0, found -3")]
    [InlineData("""{"top_k": 2.5}""", "top_k", "found 2.5")]
    [InlineData("""{"temperature": 1, "min_p": 2}""", null, "MinP")]
    [InlineData("""{"repetition_penalty": 0}""", null, "RepetitionPenalty: expected above 0")]
    [InlineData("""{"max_new_tokens": 0}""", null, "MaxNewTokens: expected at least 1, found 0")]
    [InlineData("""{"do_sample": "yes"}""", "do_sample", "expected true or false")]
    [InlineData("""{"eos_token_id": 96}""", "eos_token_id", "expected 0 to 95, found 96")]
    [InlineData("""{"eos_token_id": [1, -1]}""", "eos_token_id", "found -1")]
    [InlineData("""{"eos_token_id": "</s>"}""", "eos_token_id", "whole number")]
    [InlineData("[]", null, "expected a JSON object")]
    [InlineData("{\"top_k\": 1, \"top_k\": 2}", null, "not a valid JSON file")]
    public void BadFile_IsRefusedNamingIt(string json, string? item, string message)
    {
        ModelFormatException found = Assert.Throws<ModelFormatException>(() => Load(json));
        Assert.Equal("generation_config.json", found.FileName);
        Assert.Equal(item, found.Item);
        Assert.Contains(message, found.Message);
        Assert.DoesNotContain('?', found.Message);
    }

    private static LanguageModel Load(string json)
    {
        TinyModel tiny = new(Small);
        tiny.Config["eos_token_id"] = 4;
        tiny.TextFiles["generation_config.json"] = json;
        return tiny.Load();
    }
}
