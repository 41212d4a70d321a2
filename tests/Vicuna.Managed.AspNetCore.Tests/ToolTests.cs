using System.Text.Json;
using OpenAI.Chat;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Tools that are described in the prompt: the model is too small to choose well, but whatever it chooses has the form of a call.</summary>
public sealed class ToolTests(ToolTests.ToolServer tools, PicoServer pico) : IClassFixture<ToolTests.ToolServer>
{
    private const string Path = "/v1/chat/completions";

    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","description":"The weather.","parameters":{"type":"object",
        "properties":{"city":{"enum":["Rome","Oslo"]},"days":{"type":"integer"}},"required":["city","days"],"additionalProperties":false},"strict":true}},
        {"type":"function","function":{"name":"get_time"}}]
        """;

    private const string Asked = """{"role":"user","content":"a"}""";
    private const string Call = """{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"get_time","arguments":"{}"}}]}""";
    private const string Answered = """{"role":"tool","tool_call_id":"1","content":"x"}""";

    private TestServer Server => tools.Server;

    public static TheoryData<string, string> Wrong => new()
    {
        { "\"tools\":5", "tools" },
        { "\"tools\":[5]", "tools[0]" },
        { "\"tools\":[{}]", "tools[0].type" },
        { "\"tools\":[{\"type\":\"retrieval\"}]", "tools[0].type" },
        { "\"tools\":[{\"type\":\"function\"}]", "tools[0].function" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{}}]", "tools[0].function" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"two words\"}}]", "tools" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":5}}]", "tools[0].function.parameters" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\"}},{\"type\":\"function\",\"function\":{\"name\":\"a\"}}]", "tools" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":{\"type\":\"array\"}}}]", "tools" },
        { "\"tool_choice\":\"required\"", "tool_choice" },
        { Tools + ",\"tool_choice\":\"perhaps\"", "tool_choice" },
        { Tools + ",\"tool_choice\":5", "tool_choice" },
        { Tools + ",\"tool_choice\":{\"type\":\"function\"}", "tool_choice.function" },
        { Tools + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_tide\"}}", "tool_choice" },
        { Tools + ",\"parallel_tool_calls\":1", "parallel_tool_calls" },
        { Tools + ",\"response_format\":{\"type\":\"json_object\"}", "response_format" },
        { Tools + ",\"logprobs\":true", "logprobs" },
        { "\"functions\":[{\"name\":\"a\"}]", "functions" },
    };

    public static TheoryData<string, string> WrongHistories => new()
    {
        // An answer to no call, to another call, twice; a call without its answer; arguments that are none.
        { $"[{Asked},{Answered}]", "messages[1].tool_call_id" },
        { $"[{Asked},{Call},{Answered.Replace("\"1\"", "\"2\"", StringComparison.Ordinal)}]", "messages[2].tool_call_id" },
        { $"[{Asked},{Call},{Answered},{Answered}]", "messages[3].tool_call_id" },
        { $"[{Asked},{Call},{Asked}]", "messages" },
        { $"[{Asked},{Call}]", "messages" },
        { $"[{Asked},{Call.Replace("{}", "none", StringComparison.Ordinal)},{Answered}]", "messages[1].tool_calls" },
        { $"[{Asked},{Call.Replace("{}", "{\\\"a\\\":\\\"\\\\ud800\\\"}", StringComparison.Ordinal)},{Answered}]", "messages[1].tool_calls" },
    };

    [Theory]
    [InlineData("\"required\"", null)]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}", "get_weather")]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}}", "get_time")]
    public async Task Call_ThatIsRequired_Comes(string choice, string? name)
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat($"{Tools},\"tool_choice\":{choice},\"max_tokens\":100"));
        JsonElement answer = body.GetProperty("choices")[0];
        Assert.Equal("tool_calls", answer.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, answer.GetProperty("message").GetProperty("content").ValueKind);
        JsonElement call = Assert.Single(answer.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        CheckCall(call, name);
        Assert.False(call.TryGetProperty("index", out _));
    }

    [Fact]
    public async Task Call_OfAStream_ComesWholeAndWithItsReason()
    {
        const string Choice = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}";
        List<string> events = await Server.EventsAsync(Path, TestServer.Chat($"{Tools},{Choice},\"max_tokens\":100,\"stream\":true"));
        JsonElement[] choices = [.. events[..^1].Select(data => TestServer.Parse(data).GetProperty("choices")[0])];
        Assert.Equal("tool_calls", choices[^1].GetProperty("finish_reason").GetString());
        JsonElement calling = Assert.Single(choices, choice => choice.GetProperty("delta").TryGetProperty("tool_calls", out _));
        JsonElement call = calling.GetProperty("delta").GetProperty("tool_calls")[0];
        Assert.Equal(0, call.GetProperty("index").GetInt32());
        CheckCall(call, "get_weather");
        Assert.All(choices, choice =>
            Assert.True(!choice.GetProperty("delta").TryGetProperty("content", out JsonElement text) || text.GetString() == string.Empty));
    }

    [Fact]
    public async Task Call_ThatIsCutOff_IsNoCall()
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat($"{Tools},\"tool_choice\":\"required\",\"max_tokens\":3"));
        JsonElement answer = body.GetProperty("choices")[0];
        Assert.Equal("length", answer.GetProperty("finish_reason").GetString());
        Assert.False(answer.GetProperty("message").TryGetProperty("tool_calls", out _));
        Assert.Equal(string.Empty, answer.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Choice_OfTheModel_IsACallOrWordsTheSameStreamedAndNot()
    {
        for (int seed = 0; seed < 2; seed++)
        {
            string body = TestServer.Chat($"{Tools},\"tool_choice\":\"auto\",\"max_tokens\":40,\"seed\":{seed}")
                .Replace("\"temperature\":0", "\"temperature\":1.5", StringComparison.Ordinal);
            JsonElement answer = (await Server.JsonAsync(Path, body)).GetProperty("choices")[0];
            List<string> events = await Server.EventsAsync(Path, body[..^1] + ",\"stream\":true}");
            JsonElement[] choices = [.. events[..^1].Select(data => TestServer.Parse(data).GetProperty("choices")[0])];
            string streamed = string.Concat(choices.Select(choice =>
                choice.GetProperty("delta").TryGetProperty("content", out JsonElement text) ? text.GetString() : string.Empty));
            Assert.Equal(answer.GetProperty("message").GetProperty("content").GetString() ?? string.Empty, streamed);
            Assert.DoesNotContain("\"answer\"", streamed, StringComparison.Ordinal);
            Assert.Equal(answer.GetProperty("finish_reason").GetString(), choices[^1].GetProperty("finish_reason").GetString());
            Assert.Equal(answer.GetProperty("finish_reason").GetString() == "tool_calls", answer.GetProperty("message").TryGetProperty("tool_calls", out _));
        }
    }

    [Theory]
    [InlineData("\"tool_choice\":\"none\"")]
    [InlineData("\"tool_choice\":\"none\",\"response_format\":{\"type\":\"text\"}")]
    public async Task Tools_ThatMayNotBeCalled_AreAsNone(string choice)
    {
        foreach (TestServer server in new[] { Server, pico.Server })
        {
            JsonElement body = await server.JsonAsync(Path, TestServer.Chat($"{Tools},{choice}"));
            Assert.Equal(TestServer.Answer, body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        }

        JsonElement empty = await pico.Server.JsonAsync(Path, TestServer.Chat("\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true"));
        Assert.Equal(TestServer.Answer, empty.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Theory]
    [InlineData("\"tool_choice\":\"auto\"")]
    [InlineData("\"tool_choice\":\"required\"")]
    [InlineData("\"tool_choice\":null")]
    public async Task Tools_WhereTheyAreOff_AreRefusedClearly(string choice)
    {
        (int status, JsonElement error, _) = await pico.Server.ErrorAsync(Path, TestServer.Chat($"{Tools},{choice}"));
        Assert.Equal((400, "tools", "unsupported_parameter"), (status, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Contains("EnablePromptTools", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        (status, error, _) = await pico.Server.ErrorAsync(Path, $"{{\"messages\":{WrongHistories.First().Data.Item1}}}");
        Assert.Equal((400, "messages[1]"), (status, error.GetProperty("param").GetString()));
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Tools_ThatAreNone_AreRefusedByName(string field, string parameter)
    {
        (int status, JsonElement error, _) = await Server.ErrorAsync(Path, TestServer.Chat(field));
        Assert.Equal((400, parameter), (status, error.GetProperty("param").GetString()));
    }

    [Theory]
    [MemberData(nameof(WrongHistories))]
    public async Task History_WhoseCallsAndAnswersDoNotMatch_IsRefusedByPlace(string messages, string parameter)
    {
        (int status, JsonElement error, _) = await Server.ErrorAsync(Path, $"{{\"messages\":{messages}}}");
        Assert.Equal((400, parameter), (status, error.GetProperty("param").GetString()));
    }

    [Fact]
    public async Task History_OfCallsAndAnswers_IsPartOfThePrompt()
    {
        const string History = """
            {"temperature":0,"max_tokens":5,"messages":[{"role":"user","content":"What is 3 plus 4?"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"get_time","arguments":"{}"}},
            {"id":"2","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\",\"days\":1}"}}]},
            {"role":"tool","tool_call_id":"2","content":"17 degrees"},{"role":"tool","tool_call_id":"1","content":"noon"},{"role":"user","content":"And?"}]}
            """;
        JsonElement body = await Server.JsonAsync(Path, History);
        const string Plain = """
            {"temperature":0,"max_tokens":5,"messages":[{"role":"user","content":"What is 3 plus 4?"},
            {"role":"assistant","content":"{\"tool\":\"get_time\",\"arguments\":{}}\n{\"tool\":\"get_weather\",\"arguments\":{\"city\":\"Rome\",\"days\":1}}"},
            {"role":"user","content":"Result of get_weather: 17 degrees\nResult of get_time: noon\n\nAnd?"}]}
            """;
        JsonElement plain = await Server.JsonAsync(Path, Plain);
        Assert.Equal(plain.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(
            plain.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(),
            body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task OfficialClient_GetsTheCall(bool stream)
    {
        const string City = """{"type":"object","properties":{"city":{"enum":["Rome","Oslo"]}},"required":["city"]}""";
        ChatClient client = Server.Client().GetChatClient(TestServer.ModelId);
        ChatCompletionOptions options = new()
        {
            Temperature = 0,
            Tools = { ChatTool.CreateFunctionTool("get_weather", "The weather.", BinaryData.FromString(City)) },
            ToolChoice = ChatToolChoice.CreateRequiredChoice(),
        };
        ChatMessage[] question = [new UserChatMessage("Weather?")];
        string name;
        string arguments;
        ChatFinishReason? reason;
        if (stream)
        {
            (name, arguments, reason) = (string.Empty, string.Empty, null);
            await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync(question, options, TestContext.Current.CancellationToken))
            {
                name += string.Concat(update.ToolCallUpdates.Select(call => call.FunctionName));
                arguments += string.Concat(update.ToolCallUpdates.Select(call => call.FunctionArgumentsUpdate?.ToString()));
                reason = update.FinishReason ?? reason;
            }
        }
        else
        {
            ChatCompletion answer = await client.CompleteChatAsync(question, options, TestContext.Current.CancellationToken);
            ChatToolCall call = Assert.Single(answer.ToolCalls);
            (name, arguments, reason) = (call.FunctionName, call.FunctionArguments.ToString(), answer.FinishReason);
        }

        Assert.Equal(("get_weather", ChatFinishReason.ToolCalls), (name, reason));
        Assert.Contains(TestServer.Parse(arguments).GetProperty("city").GetString(), new[] { "Rome", "Oslo" });
    }

    private static void CheckCall(JsonElement call, string? name)
    {
        Assert.StartsWith("call_", call.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("function", call.GetProperty("type").GetString());
        JsonElement function = call.GetProperty("function");
        string found = function.GetProperty("name").GetString()!;
        Assert.Contains(found, name is null ? new[] { "get_weather", "get_time" } : [name]);
        JsonElement arguments = TestServer.Parse(function.GetProperty("arguments").GetString()!);
        if (found == "get_time")
        {
            Assert.Empty(arguments.EnumerateObject());
            return;
        }

        Assert.Contains(arguments.GetProperty("city").GetString(), new[] { "Rome", "Oslo" });
        Assert.Equal(JsonValueKind.Number, arguments.GetProperty("days").ValueKind);
    }

    public sealed class ToolServer : IAsyncLifetime
    {
        internal TestServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync(options => options.EnablePromptTools = true);

        public async ValueTask DisposeAsync() => await Server.DisposeAsync();
    }
}
