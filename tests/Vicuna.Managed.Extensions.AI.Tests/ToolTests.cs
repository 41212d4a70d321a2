using System.ComponentModel;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>Tools: ignored and said so where they are not enabled; described in the prompt and called in a form where they are.</summary>
public sealed class ToolTests(Pico pico)
{
    private static readonly AIFunction Weather = AIFunctionFactory.Create(
        ([Description("Where")] City city, bool celsius) => $"{(celsius ? 20 : 68)} in {city}", "weather", "Tells the weather.");

    private static readonly AIFunction Clock = AIFunctionFactory.Create(() => "noon", "clock");

    public enum City
    {
        Paris,
        Rome,
    }

    [Fact]
    public async Task Tools_NotEnabled_AreIgnored_AndThatIsLoggedOnce()
    {
        LinesLogger log = new();
        using VicunaChatClient client = new(pico.Engine, null, log);
        ChatOptions options = Pico.Greedy;
        options.Tools = [Weather, new HostedWebSearchTool()];
        foreach (ChatToolMode? mode in (ChatToolMode?[])[null, ChatToolMode.Auto, ChatToolMode.Auto])
        {
            options.ToolMode = mode;
            Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, options)).Text);
        }

        string line = Assert.Single(log.Lines);
        Assert.StartsWith("Warning: ", line, StringComparison.Ordinal);
        Assert.Contains("2 tools", line, StringComparison.Ordinal);
        Assert.Contains("EnablePromptTools", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_OfModeNone_AreIgnoredInSilence()
    {
        LinesLogger log = new();
        using VicunaChatClient client = new(pico.Engine, null, log);
        ChatOptions options = Pico.Greedy;
        options.Tools = [Weather];
        options.ToolMode = ChatToolMode.None;
        Assert.Equal(Pico.Answer, (await client.GetResponseAsync(Pico.Question, options)).Text);
        Assert.Empty(log.Lines);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("weather")]
    public async Task Tools_RequiredAndNotEnabled_AreRefused(string? name)
    {
        ChatOptions options = new() { Tools = [Weather], ToolMode = name is null ? ChatToolMode.RequireAny : ChatToolMode.RequireSpecific(name) };
        NotSupportedException error = await Assert.ThrowsAsync<NotSupportedException>(() => pico.Client.GetResponseAsync(Pico.Question, options));
        Assert.Contains("EnablePromptTools", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Call_OfASpecificTool_HasItsNameAndArgumentsOfItsSchema(bool isStreamed)
    {
        using VicunaChatClient client = Enabled();
        ChatOptions options = Required("weather");
        ChatResponse response = isStreamed
            ? await client.GetStreamingResponseAsync(Pico.Question, options).ToChatResponseAsync()
            : await client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        FunctionCallContent call = Assert.IsType<FunctionCallContent>(Assert.Single(Assert.Single(response.Messages).Contents));
        Assert.Equal("weather", call.Name);
        Assert.StartsWith("call_", call.CallId, StringComparison.Ordinal);
        Assert.Null(call.Exception);
        Assert.Equal(["city", "celsius"], call.Arguments!.Keys);
        Assert.Contains(((JsonElement)call.Arguments["city"]!).GetString(), Enum.GetNames<City>());
        Assert.True(((JsonElement)call.Arguments["celsius"]!).ValueKind is JsonValueKind.True or JsonValueKind.False);
        Assert.Equal(string.Empty, response.Text);
        Assert.True(response.Usage!.OutputTokenCount > 5);
    }

    [Fact]
    public async Task Call_OfAnyTool_IsOfOneThatExists()
    {
        using VicunaChatClient client = Enabled();
        ChatOptions options = Required(null);
        options.Tools!.Add(Clock);
        ChatResponse response = await client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        Assert.Contains(Assert.Single(response.Messages[0].Contents.OfType<FunctionCallContent>()).Name, new[] { "weather", "clock" });
    }

    [Fact]
    public async Task Call_ThatALimitCutsOff_IsNone()
    {
        using VicunaChatClient client = Enabled();
        ChatOptions options = Required("weather");
        options.MaxOutputTokens = 8;
        ChatResponse response = await client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.Empty(response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        Assert.Equal(string.Empty, response.Text);
        Assert.Equal(8, response.Usage!.OutputTokenCount);
    }

    [Fact]
    public async Task Answer_OfModeAuto_IsACallOrWords()
    {
        using VicunaChatClient client = Enabled();
        ChatOptions options = Required("weather");
        options.ToolMode = ChatToolMode.Auto;
        for (int seed = 0; seed < 4; seed++)
        {
            options.Temperature = seed;
            options.Seed = seed;
            ChatResponse response = await client.GetResponseAsync(Pico.Question, options);
            bool isCall = response.FinishReason == ChatFinishReason.ToolCalls;
            Assert.Equal(isCall, response.Messages[0].Contents.OfType<FunctionCallContent>().Any());
            Assert.DoesNotContain("\"answer\"", response.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("\"tool\"", response.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Function_UnderTheInvokingClient_IsCalled_AndItsResultIsShownToTheModel()
    {
        (VicunaChatClient inner, RecordingFormatter seen) = Pico.Recording(new VicunaChatClientOptions { EnablePromptTools = true });
        using LanguageModel model = inner.GetService<LanguageModel>()!;
        List<string> called = [];
        AIFunction weather = AIFunctionFactory.Create(
            (City city, bool celsius) =>
            {
                called.Add($"{city} {celsius}");
                return "sunny";
            },
            "weather");
        using IChatClient client = inner.AsBuilder().UseFunctionInvocation(configure: invoking => invoking.MaximumIterationsPerRequest = 1).Build();
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 100, Tools = [weather], ToolMode = ChatToolMode.RequireSpecific("weather") };
        ChatResponse response = await client.GetResponseAsync("How is it?", options);

        string arguments = Assert.Single(called);
        FunctionCallContent call = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        FunctionResultContent result = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>());
        Assert.Equal(call.CallId, result.CallId);
        Assert.Equal("sunny", result.Result?.ToString());
        Assert.Equal(ChatRole.Assistant, response.Messages[^1].Role);
        Assert.Empty(response.Messages[^1].Contents.OfType<FunctionCallContent>());
        string[] shown = seen.Last.Split('\n');
        Assert.Equal("User|How is it?", shown[^3]);
        JsonElement written = JsonDocument.Parse(shown[^2]["Assistant|".Length..]).RootElement;
        Assert.Equal("weather", written.GetProperty("tool").GetString());
        JsonElement values = written.GetProperty("arguments");
        Assert.Equal(arguments, $"{values.GetProperty("city").GetString()} {values.GetProperty("celsius").GetBoolean()}");
        Assert.Equal("User|Result of weather: sunny", shown[^1]);
    }

    [Fact]
    public async Task Tools_Enabled_AreDescribedAfterTheInstructions_WithTheirTypes()
    {
        (VicunaChatClient client, RecordingFormatter seen) = Pico.Recording(new VicunaChatClientOptions { EnablePromptTools = true });
        using LanguageModel model = client.GetService<LanguageModel>()!;
        using (client)
        {
            ChatOptions options = Required("weather");
            options.Instructions = "Be brief.";
            options.MaxOutputTokens = 1;
            await client.GetResponseAsync([new(ChatRole.User, "a"), new(ChatRole.Assistant, "b"), new(ChatRole.User, "c")], options);
        }

        Assert.StartsWith("System|Be brief.\n\n", seen.Last, StringComparison.Ordinal);
        Assert.Contains("weather: Tells the weather.", seen.Last, StringComparison.Ordinal);
        Assert.Contains("\"boolean\"", seen.Last, StringComparison.Ordinal);
        Assert.Contains("\"Paris\"", seen.Last, StringComparison.Ordinal);
        Assert.Contains("Assistant|{\"answer\":\"b\"}\n", seen.Last, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Results_OfSeveralCalls_AreLinesOfOneTurn()
    {
        VicunaChatClientOptions options = new() { EnablePromptTools = true, DefaultMaxOutputTokens = 1 };
        (VicunaChatClient client, RecordingFormatter seen) = Pico.Recording(options);
        using LanguageModel model = client.GetService<LanguageModel>()!;
        using (client)
        {
            await client.GetResponseAsync(
            [
                new(ChatRole.User, "a"),
                new(
                    ChatRole.Assistant,
                    [new FunctionCallContent("1", "f", new Dictionary<string, object?> { ["x"] = 1, ["y"] = "z" }), new FunctionCallContent("2", "g")]),
                new(ChatRole.Tool, [new FunctionResultContent("1", "one")]),
                new(ChatRole.Tool, [new FunctionResultContent("2", new Dictionary<string, object?> { ["two"] = 2 })]),
                new(ChatRole.User, "b"),
            ]);
        }

        Assert.Equal(
            """
            User|a
            Assistant|{"tool":"f","arguments":{"x":1,"y":"z"}}
            {"tool":"g","arguments":{}}
            User|Result of f: one
            Result of g: {"two":2}

            b
            """,
            seen.Last);
    }

    [Fact]
    public async Task Result_OfACallThatWasNotMade_IsRefused()
    {
        using VicunaChatClient client = Enabled();
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(
            () => client.GetResponseAsync([new(ChatRole.User, "a"), new(ChatRole.Tool, [new FunctionResultContent("call_7", "r")])]));
        Assert.Contains("call_7", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task History_WithHalfASurrogatePair_IsRefusedByItsPlace()
    {
        using VicunaChatClient client = Enabled();
        JsonElement half = JsonDocument.Parse("""["\ud800"]""").RootElement;
        foreach (JsonElement value in new[] { half, half[0] })
        {
            ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(
            [
                new(ChatRole.User, "a"),
                new(ChatRole.Assistant, [new FunctionCallContent("1", "f", new Dictionary<string, object?> { ["x"] = value })]),
                new(ChatRole.Tool, [new FunctionResultContent("1", "r")]),
            ]));
            Assert.Contains("messages[1].Contents[0]", error.Message, StringComparison.Ordinal);
            error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(
            [
                new(ChatRole.User, "a"), new(ChatRole.Assistant, [new FunctionCallContent("1", "f")]), new(ChatRole.Tool, [new FunctionResultContent("1", value)]),
            ]));
            Assert.Contains("messages[2].Contents[0]", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Tools_ThatCannotBeDescribed_AreRefused()
    {
        using VicunaChatClient client = Enabled();
        NotSupportedException error = await Assert.ThrowsAsync<NotSupportedException>(
            () => client.GetResponseAsync("a", new ChatOptions { Tools = [new HostedWebSearchTool()] }));
        Assert.Contains(nameof(HostedWebSearchTool), error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("a", new ChatOptions { ToolMode = ChatToolMode.RequireAny }));
        ArgumentException missing = await Assert.ThrowsAsync<ArgumentException>(
            () => client.GetResponseAsync("a", new ChatOptions { Tools = [Weather], ToolMode = ChatToolMode.RequireSpecific("whether") }));
        Assert.Contains("whether", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_TogetherWithAnotherForm_AreRefused()
    {
        using VicunaChatClient client = Enabled();
        ChatOptions options = new() { Tools = [Weather], ResponseFormat = ChatResponseFormat.Json };
        await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync("a", options));
        options.ResponseFormat = null;
        options.RawRepresentationFactory = _ => new GenerationOptions { Constraint = OutputConstraint.JsonObject };
        await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync("a", options));
    }

    private static ChatOptions Required(string? name) => new()
    {
        Temperature = 0,
        MaxOutputTokens = 100,
        Tools = [Weather],
        ToolMode = name is null ? ChatToolMode.RequireAny : ChatToolMode.RequireSpecific(name),
    };

    private VicunaChatClient Enabled() => new(pico.Engine, new VicunaChatClientOptions { EnablePromptTools = true }, null);
}
