using System.Text.Json;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Chats over plain HTTP: the fields of requests and responses.</summary>
public sealed class ChatTests(PicoServer pico)
{
    private const string Path = "/v1/chat/completions";

    private TestServer Server => pico.Server;

    [Fact]
    public async Task Response_HasTheFieldsThatClientsNeed()
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat());
        Assert.StartsWith("chatcmpl-", body.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("chat.completion", body.GetProperty("object").GetString());
        Assert.True(Math.Abs(body.GetProperty("created").GetInt64() - DateTimeOffset.UtcNow.ToUnixTimeSeconds()) < 60);
        Assert.Equal(TestServer.ModelId, body.GetProperty("model").GetString());
        JsonElement choice = Assert.Single(body.GetProperty("choices").EnumerateArray());
        Assert.Equal(0, choice.GetProperty("index").GetInt32());
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.Equal(TestServer.Answer, choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("refusal").ValueKind);
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        JsonElement usage = body.GetProperty("usage");
        int prompt = usage.GetProperty("prompt_tokens").GetInt32();
        int completion = usage.GetProperty("completion_tokens").GetInt32();
        Assert.True(prompt > 10 && completion > 3);
        Assert.Equal(prompt + completion, usage.GetProperty("total_tokens").GetInt32());
        Assert.InRange(usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(), 0, prompt);
    }

    [Fact]
    public async Task Stream_HasOneIdTheRoleFirstTheReasonLastAndUsageOnlyWhenAskedFor()
    {
        List<string> events = await Server.EventsAsync(Path, TestServer.Chat("\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
        Assert.Equal("[DONE]", events[^1]);
        JsonElement[] chunks = [.. events[..^1].Select(TestServer.Parse)];
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("created").GetInt64()).Distinct());
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.GetProperty("object").GetString()));
        JsonElement[] choices = [.. chunks[..^1].Select(chunk => chunk.GetProperty("choices")[0])];
        Assert.Equal("assistant", choices[0].GetProperty("delta").GetProperty("role").GetString());
        Assert.Equal(string.Empty, choices[0].GetProperty("delta").GetProperty("content").GetString());
        Assert.All(choices[1..], choice => Assert.False(choice.GetProperty("delta").TryGetProperty("role", out _)));
        Assert.All(choices[..^1], choice => Assert.Equal(JsonValueKind.Null, choice.GetProperty("finish_reason").ValueKind));
        Assert.Equal("stop", choices[^1].GetProperty("finish_reason").GetString());
        Assert.Empty(choices[^1].GetProperty("delta").EnumerateObject());
        Assert.Equal(TestServer.Answer, TextOf(choices));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.True(chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32() > 3);

        events = await Server.EventsAsync(Path, TestServer.Chat("\"stream\":true"));
        Assert.Equal("stop", TestServer.Parse(events[^2]).GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.All(events[..^1], data => Assert.False(TestServer.Parse(data).TryGetProperty("usage", out _)));
    }

    [Fact]
    public async Task Stream_OfTheSameSeed_HasTheTextOfTheWhole()
    {
        const string Sampling = "\"temperature\":2,\"top_p\":1,\"seed\":7,\"max_tokens\":60";
        string body = TestServer.Chat().Replace("\"temperature\":0", Sampling, StringComparison.Ordinal);
        string whole = ContentOf(await Server.JsonAsync(Path, body));
        List<string> events = await Server.EventsAsync(Path, body[..^1] + ",\"stream\":true}");
        Assert.Equal(whole, TextOf([.. events[..^1].Select(data => TestServer.Parse(data).GetProperty("choices")[0])]));
        Assert.Equal(whole, ContentOf(await Server.JsonAsync(Path, body)));
        string[] others = await Task.WhenAll(Enumerable.Range(8, 6).Select(async seed =>
            ContentOf(await Server.JsonAsync(Path, body.Replace("\"seed\":7", $"\"seed\":{seed}", StringComparison.Ordinal)))));
        Assert.Contains(others, text => text != whole);
    }

    [Fact]
    public async Task Choices_OfOneSeed_DifferAndComeAgain()
    {
        string body = TestServer.Chat("\"n\":6,\"seed\":3,\"max_tokens\":40").Replace("\"temperature\":0", "\"temperature\":1.9,\"top_p\":1", StringComparison.Ordinal);
        string[] first = ContentsOf(await Server.JsonAsync(Path, body));
        Assert.Equal(6, first.Length);
        Assert.True(first.Distinct().Count() > 1);
        JsonElement again = await Server.JsonAsync(Path, body);
        Assert.Equal(first, ContentsOf(again));
        Assert.Equal([0, 1, 2, 3, 4, 5], again.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.True(again.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() < 100);
    }

    [Fact]
    public async Task Answers_OfManyAtATime_AreThoseOfOneAlone()
    {
        string[] questions = [.. Enumerable.Range(1, 16).Select(i => $"What is {i} plus {i % 7}?")];
        string[] alone = new string[questions.Length];
        for (int i = 0; i < questions.Length; i++)
        {
            alone[i] = ContentOf(await Server.JsonAsync(Path, TestServer.Chat(question: questions[i])));
        }

        string[] together = await Task.WhenAll(questions.Select(async question => ContentOf(await Server.JsonAsync(Path, TestServer.Chat(question: question)))));
        Assert.Equal(alone, together);
    }

    [Theory]
    [InlineData("\"max_tokens\":3")]
    [InlineData("\"max_completion_tokens\":3")]
    [InlineData("\"max_tokens\":99,\"max_completion_tokens\":3")]
    public async Task MaxTokens_ByEitherName_EndsTheAnswer(string field)
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat(field));
        Assert.Equal("length", body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(3, body.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Answer_WithoutALimit_EndsWithTheContext()
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Long());
        Assert.Equal("length", body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.InRange(body.GetProperty("usage").GetProperty("total_tokens").GetInt32(), 511, 513);
    }

    [Theory]
    [InlineData("\"stop\":\" is\"")]
    [InlineData("\"stop\":[\"xyz\",\" is\"]")]
    public async Task Stop_AsStringOrArray_EndsTheAnswer(string field)
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat(field));
        Assert.Equal("Three plus four", ContentOf(body));
        Assert.Equal("stop", body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"What is 3 "},{"type":"text","text":"plus 4?"}]}]""")]
    [InlineData("""[{"role":"user","content":"What is 3 plus 4?","name":"somebody"}]""")]
    public async Task Content_AsStringOrParts_IsTheSame(string messages) =>
        Assert.Equal(TestServer.Answer, ContentOf(await Server.JsonAsync(Path, $$"""{"temperature":0,"messages":{{messages}}}""")));

    [Fact]
    public async Task Instructions_OfSeveralMessages_ComeTogether()
    {
        const string One = """{"temperature":0,"messages":[{"role":"system","content":"A\n\nB"},{"role":"user","content":"Hi"}]}""";
        const string Two = """{"temperature":0,"messages":[{"role":"system","content":"A"},{"role":"developer","content":"B"},{"role":"user","content":"Hi"}]}""";
        JsonElement one = await Server.JsonAsync(Path, One);
        JsonElement two = await Server.JsonAsync(Path, Two);
        Assert.Equal(ContentOf(one), ContentOf(two));
        Assert.Equal(one.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), two.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task History_IsPartOfThePrompt()
    {
        const string Body = """
            {"temperature":0,"messages":[{"role":"user","content":"What is 1 plus 1?"},{"role":"assistant","content":"One plus one is two."},
            {"role":"user","content":"What is 3 plus 4?"}]}
            """;
        JsonElement body = await Server.JsonAsync(Path, Body);
        Assert.NotEqual(string.Empty, ContentOf(body));
        JsonElement alone = await Server.JsonAsync(Path, TestServer.Chat());
        Assert.True(body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > alone.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() + 10);
    }

    [Fact]
    public async Task Fields_ThatNobodyKnows_AreIgnored() => Assert.Equal(TestServer.Answer, ContentOf(await Server.JsonAsync(
        Path, TestServer.Chat("\"model\":\"\",\"user\":\"me\",\"store\":false,\"metadata\":{\"a\":1},\"frequency_penalty\":null,\"stop\":null,\"n\":1,\"something\":[1]"))));

    [Fact]
    public async Task OwnFields_OfSampling_AreTaken() => Assert.Equal(TestServer.Answer, ContentOf(await Server.JsonAsync(
        Path,
        TestServer.Chat("\"top_k\":1,\"min_p\":0.1,\"repetition_penalty\":1,\"priority\":\"high\",\"time_limit\":30").Replace("\"temperature\":0", "\"temperature\":2", StringComparison.Ordinal))));

    [Fact]
    public async Task TopP_OfZero_IsGreedy() => Assert.Equal(TestServer.Answer, ContentOf(await Server.JsonAsync(
        Path, TestServer.Chat("\"top_p\":0").Replace("\"temperature\":0", "\"temperature\":1", StringComparison.Ordinal))));

    [Fact]
    public async Task LogProbabilities_OfAChat_NameTokensWithTheirBytes()
    {
        JsonElement choice = (await Server.JsonAsync(Path, TestServer.Chat("\"logprobs\":true,\"top_logprobs\":3"))).GetProperty("choices")[0];
        JsonElement[] tokens = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        Assert.True(tokens.Length > 3);
        Assert.All(tokens, CheckToken);
        byte[] bytes = [.. tokens.SelectMany(BytesOf)];
        Assert.Equal(TestServer.Answer, System.Text.Encoding.UTF8.GetString(bytes));

        List<string> events = await Server.EventsAsync(Path, TestServer.Chat("\"logprobs\":true,\"top_logprobs\":3,\"stream\":true"));
        JsonElement[] streamed =
        [
            .. events[..^1].Select(data => TestServer.Parse(data).GetProperty("choices")[0].GetProperty("logprobs"))
                .Where(part => part.ValueKind == JsonValueKind.Object).SelectMany(part => part.GetProperty("content").EnumerateArray()),
        ];
        Assert.Equal(tokens.Select(token => token.GetProperty("token").GetString()), streamed.Select(token => token.GetProperty("token").GetString()));

        static void CheckToken(JsonElement token)
        {
            Assert.InRange(token.GetProperty("logprob").GetDouble(), -50, 0);
            JsonElement[] top = [.. token.GetProperty("top_logprobs").EnumerateArray()];
            Assert.Equal(3, top.Length);
            // Greedy: the token is the likeliest.
            Assert.Equal(token.GetProperty("token").GetString(), top[0].GetProperty("token").GetString());
            Assert.True(top[0].GetProperty("logprob").GetDouble() >= top[1].GetProperty("logprob").GetDouble());
        }

        static IEnumerable<byte> BytesOf(JsonElement token) => token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte());
    }

    [Fact]
    public async Task LogProbabilities_OfAnAnswerThatAStopStringEnds_AddUpToItsText()
    {
        const string Fields = "\"logprobs\":true,\"stop\":\" four is\"";
        JsonElement choice = (await Server.JsonAsync(Path, TestServer.Chat(Fields))).GetProperty("choices")[0];
        Assert.Equal("Three plus", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("Three plus", TokensOf(choice));
        List<string> events = await Server.EventsAsync(Path, TestServer.Chat(Fields + ",\"stream\":true"));
        Assert.Equal("Three plus", string.Concat(events[..^1].Select(data => TokensOf(TestServer.Parse(data).GetProperty("choices")[0]))));

        static string TokensOf(JsonElement choice) => choice.GetProperty("logprobs") is { ValueKind: JsonValueKind.Object } found
            ? string.Concat(found.GetProperty("content").EnumerateArray().Select(token => token.GetProperty("token").GetString()))
            : string.Empty;
    }

    [Theory]
    [InlineData("some/model", "some/model", 200)]
    [InlineData("some/model", "some%2Fmodel", 200)]
    [InlineData("some/model", "some%2fother", 404)]
    public async Task Model_WithASlashInItsName_IsFoundEscapedOrNot(string name, string path, int expected)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.ModelId = name);
        using HttpResponseMessage response = await server.Http.GetAsync($"/v1/models/{path}", TestContext.Current.CancellationToken);
        Assert.Equal(expected, (int)response.StatusCode);
        JsonElement body = TestServer.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Contains(expected == 200 ? name : "some/other", body.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonObject_AsResponseFormat_IsWhatComes()
    {
        JsonElement body = await Server.JsonAsync(Path, TestServer.Chat("\"response_format\":{\"type\":\"json_object\"},\"max_tokens\":200"));
        if (body.GetProperty("choices")[0].GetProperty("finish_reason").GetString() == "stop")
        {
            Assert.Equal(JsonValueKind.Object, TestServer.Parse(ContentOf(body)).ValueKind);
        }
        else
        {
            Assert.StartsWith("{", ContentOf(body).TrimStart(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task JsonSchema_AsResponseFormat_IsWhatComes()
    {
        const string Format = """
            "response_format":{"type":"json_schema","json_schema":{"name":"sum","strict":true,"schema":{"type":"object","properties":{"sum":{"type":"integer"},
            "even":{"type":"boolean"}},"required":["sum","even"],"additionalProperties":false}}}
            """;
        JsonElement answer = TestServer.Parse(ContentOf(await Server.JsonAsync(Path, TestServer.Chat(Format))));
        Assert.Equal(JsonValueKind.Number, answer.GetProperty("sum").ValueKind);
        Assert.Contains(answer.GetProperty("even").ValueKind, new[] { JsonValueKind.True, JsonValueKind.False });
    }

    private static string TextOf(IEnumerable<JsonElement> choices) =>
        string.Concat(choices.Select(choice => choice.GetProperty("delta").TryGetProperty("content", out JsonElement text) ? text.GetString() : string.Empty));

    private static string ContentOf(JsonElement body) => ContentsOf(body)[0];

    private static string[] ContentsOf(JsonElement body) =>
        [.. body.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()!)];
}
