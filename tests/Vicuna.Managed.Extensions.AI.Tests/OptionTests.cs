using System.Text.Json;
using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Options: each has its effect, which is the engine's; none is changed.</summary>
public sealed class OptionTests(Pico pico)
{
    private static readonly GenerationOptions Base = new() { IgnoreEndOfSequence = true, MaxNewTokens = 24, Temperature = 1.5, Seed = 7, TopP = 1 };

    private static readonly GenerationOptions Biased = Base with { LogitBias = new Dictionary<int, float> { [300] = 20 } };

    public static TheoryData<string, ChatOptions, GenerationOptions> Effects => new()
    {
        { "MaxOutputTokens", Sampled(options => options.MaxOutputTokens = 5), Base with { MaxNewTokens = 5 } },
        { "Temperature", Sampled(options => options.Temperature = 0.7f), Base with { Temperature = 0.7 } },
        { "Temperature 0", Sampled(options => options.Temperature = 0), Base with { Temperature = 0 } },
        { "TopP", Sampled(options => options.TopP = 0.6f), Base with { TopP = 0.6 } },
        { "TopP 0", Sampled(options => options.TopP = 0), Base with { Temperature = 0 } },
        { "TopK", Sampled(options => options.TopK = 2), Base with { TopK = 2 } },
        { "Seed", Sampled(options => options.Seed = 8), Base with { Seed = 8 } },
        { "FrequencyPenalty", Sampled(options => options.FrequencyPenalty = 1.9f), Base with { FrequencyPenalty = 1.9 } },
        { "PresencePenalty", Sampled(options => options.PresencePenalty = 1.7f), Base with { PresencePenalty = 1.7 } },
        { "min_p", Extra("min_p", 0.3), Base with { MinP = 0.3 } },
        { "min_p, single", Extra("min_p", 0.3f), Base with { MinP = 0.3 } },
        { "min_p, JSON", Extra("min_p", Json("0.3")), Base with { MinP = 0.3 } },
        { "repetition_penalty", Extra("repetition_penalty", 2), Base with { RepetitionPenalty = 2 } },
        { "logit_bias", Extra("logit_bias", new Dictionary<int, float> { [300] = 20 }), Biased },
        { "logit_bias, names", Extra("logit_bias", new Dictionary<string, object> { ["300"] = 20 }), Biased },
        { "logit_bias, JSON", Extra("logit_bias", Json("""{"300":20}""")), Biased },
    };

    [Theory]
    [MemberData(nameof(Effects), DisableDiscoveryEnumeration = true)]
    public async Task Option_HasTheEnginesEffect(string name, ChatOptions options, GenerationOptions expected)
    {
        string plain = await EngineAsync(Base);
        string wanted = await EngineAsync(expected);
        Assert.True(plain != wanted, $"{name}: the option changes nothing here, so that the test could not fail.");
        Assert.Equal(wanted, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
    }

    [Fact]
    public async Task TopK_OfMinusOne_IsAll()
    {
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, Sampled(options => options.TopK = -1));
        Assert.Equal(await EngineAsync(Base with { TopK = 0 }), response.Text);
    }

    [Fact]
    public async Task LogitBias_OfMinusHundred_BansTheToken()
    {
        int first = ((GenerationResult)(await pico.Client.GetResponseAsync(Pico.Question, Pico.Greedy)).RawRepresentation!).TokenIds[0];
        ChatOptions options = Pico.Greedy;
        options.AdditionalProperties = new() { ["logit_bias"] = new Dictionary<int, int> { [first] = -100 } };
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.DoesNotContain(first, ((GenerationResult)response.RawRepresentation!).TokenIds);
    }

    [Fact]
    public async Task RawRepresentation_GoesBeforeTheOtherProperties_AndIsMadeForThisClient()
    {
        IChatClient? asked = null;
        ChatOptions options = new()
        {
            Temperature = 1.5f,
            MaxOutputTokens = 3,
            RawRepresentationFactory = client =>
            {
                asked = client;
                return new GenerationOptions { Temperature = 0, LogProbabilities = 2 };
            },
        };
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.StartsWith(response.Text, Pico.Answer, StringComparison.Ordinal);
        GenerationResult result = (GenerationResult)response.RawRepresentation!;
        Assert.Equal(3, result.TokenIds.Count);
        Assert.Equal(3, result.LogProbabilities!.Count);
        Assert.Same(pico.Client, asked);
    }

    [Fact]
    public async Task RawRepresentation_OfAnotherType_IsRefusedByName()
    {
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(
            () => pico.Client.GetResponseAsync(Pico.Question, new ChatOptions { RawRepresentationFactory = _ => new object() }));
        Assert.Contains("System.Object", error.Message, StringComparison.Ordinal);
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, new ChatOptions { Temperature = 0, RawRepresentationFactory = _ => null });
        Assert.Equal(Pico.Answer, response.Text);
    }

    [Theory]
    [InlineData("min_p", "a text")]
    [InlineData("repetition_penalty", true)]
    [InlineData("logit_bias", 3)]
    [InlineData("priority", "urgent")]
    [InlineData("time_limit", -1)]
    public async Task AdditionalProperty_OfTheWrongType_IsRefusedByName(string key, object value)
    {
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(() => pico.Client.GetResponseAsync(Pico.Question, Extra(key, value)));
        Assert.Contains($"AdditionalProperties[\"{key}\"]", error.Message, StringComparison.Ordinal);
        Assert.Equal(key, error.ParamName);
    }

    [Theory]
    [InlineData("x", 1.0)]
    [InlineData("3", "1")]
    [InlineData("3", 101.0)]
    [InlineData("3", double.NaN)]
    public async Task LogitBias_WithAWrongEntry_IsRefused(string token, object bias) =>
        await Assert.ThrowsAsync<ArgumentException>(
            () => pico.Client.GetResponseAsync(Pico.Question, Extra("logit_bias", new Dictionary<string, object> { [token] = bias })));

    [Fact]
    public async Task AdditionalProperty_OfOthers_IsLeftAlone() =>
        Assert.Equal(await EngineAsync(Base), (await pico.Client.GetResponseAsync(Pico.Question, Extra("num_ctx", new object()))).Text);

    [Fact]
    public async Task TimeLimitAndPriority_ReachTheEngine()
    {
        ChatOptions options = Pico.GreedyOf(400);
        options.AdditionalProperties = new() { ["priority"] = RequestPriority.High, ["time_limit"] = TimeSpan.FromTicks(1) };
        try
        {
            ChatResponse cut = await pico.Client.GetResponseAsync(Pico.Question, options);
            Assert.Equal(FinishReason.TimeLimit, ((GenerationResult)cut.RawRepresentation!).FinishReason);
            Assert.Equal(ChatFinishReason.Length, cut.FinishReason);
        }
        catch (TimeoutException)
        {
            // The limit came before the first token, as it mostly does.
        }

        options.AdditionalProperties["time_limit"] = 60;
        options.MaxOutputTokens = 3;
        Assert.Equal(3, (await pico.Client.GetResponseAsync(Pico.Question, options)).Usage!.OutputTokenCount);
    }

    [Theory]
    [InlineData("MaxOutputTokens")]
    [InlineData("Temperature")]
    [InlineData("TopP")]
    [InlineData("TopK")]
    public async Task Option_OutOfItsRange_IsRefusedByName(string name)
    {
        ChatOptions options = new();
        typeof(ChatOptions).GetProperty(name)!.SetValue(options, name is "Temperature" or "TopP" ? (object)-2f : -2);
        ArgumentOutOfRangeException error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => pico.Client.GetResponseAsync(Pico.Question, options));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains("-2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StopSequence_AcrossTokens_EndsTheAnswerAndDoesNotLeak()
    {
        const string Stop = "four is se";
        ChatOptions options = Pico.Greedy;
        options.StopSequences = [Stop];
        List<ChatResponseUpdate> updates = await pico.Client.GetStreamingResponseAsync(Pico.Question, options).ToListAsync();
        Assert.Equal("Three plus ", string.Concat(updates.Select(update => update.Text)));
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
        int[] tokens = [.. ((GenerationChunk)updates[^1].RawRepresentation!).Result!.TokenIds];
        Assert.True(tokens.Length >= 5, "The stop sequence lay within one token, so that the test shows nothing.");
    }

    [Fact]
    public async Task StopSequence_ThatOnlyBegins_LosesNothing()
    {
        ChatOptions options = Pico.Greedy;
        options.StopSequences = ["four is nine", "seven!"];
        Assert.Equal(Pico.Answer, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
    }

    [Fact]
    public async Task ModelId_OfAnotherModel_IsRefused()
    {
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(
            () => pico.Client.GetResponseAsync(Pico.Question, new ChatOptions { ModelId = "gpt-4o" }));
        Assert.Contains("'pico-vicuna'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'gpt-4o'", error.Message, StringComparison.Ordinal);
        ChatOptions own = Pico.Greedy;
        own.ModelId = Pico.ModelId;
        Assert.Equal(Pico.Answer, (await pico.Client.GetResponseAsync(Pico.Question, own)).Text);
    }

    [Fact]
    public async Task ConversationId_IsRefused_WithWhatToDoInstead()
    {
        NotSupportedException error = await Assert.ThrowsAsync<NotSupportedException>(
            () => pico.Client.GetResponseAsync(Pico.Question, new ChatOptions { ConversationId = "conversation-1" }));
        Assert.Contains("conversation-1", error.Message, StringComparison.Ordinal);
        Assert.Contains("history", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_AreNeverChanged()
    {
        ChatOptions options = new()
        {
            Instructions = "Be brief.",
            Temperature = 0,
            TopP = 0,
            TopK = -1,
            MaxOutputTokens = 4,
            StopSequences = ["zzz"],
            Tools = [AIFunctionFactory.Create(() => 1, "one")],
            AdditionalProperties = new() { ["min_p"] = 0.1 },
        };
        string before = JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions);
        await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(before, JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions));
        Assert.Single(options.Tools);
        Assert.Equal(["zzz"], options.StopSequences);
    }

    [Fact]
    public async Task Options_ChangedAfterTheCall_DoNotChangeTheAnswer()
    {
        ChatOptions options = Pico.Greedy;
        options.StopSequences = ["zzz"];
        List<ChatMessage> messages = [new(ChatRole.User, Pico.Question)];
        IAsyncEnumerable<ChatResponseUpdate> updates = pico.Client.GetStreamingResponseAsync(messages, options);
        options.MaxOutputTokens = 1;
        options.StopSequences[0] = "Three";
        messages.Clear();
        Assert.Equal(Pico.Answer, (await updates.ToChatResponseAsync()).Text);
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static ChatOptions Sampled(Action<ChatOptions> change)
    {
        ChatOptions options = new()
        {
            MaxOutputTokens = Base.MaxNewTokens,
            Temperature = 1.5f,
            Seed = Base.Seed,
            TopP = 1,
            RawRepresentationFactory = _ => new GenerationOptions { IgnoreEndOfSequence = true },
        };
        change(options);
        return options;
    }

    private static ChatOptions Extra(string key, object value) => Sampled(options => options.AdditionalProperties = new() { [key] = value });

    private async Task<string> EngineAsync(GenerationOptions options) =>
        (await pico.Engine.GenerateAsync(Prompt.FromMessages([new Chat.ChatMessage(Chat.ChatRole.User, Pico.Question)]), options)).Text;
}
