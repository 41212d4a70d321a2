using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Wrong requests: each is refused with a status of its own and an error in OpenAI's form that names the field.</summary>
public sealed class RefusalTests(PicoServer pico)
{
    private const string ChatPath = "/v1/chat/completions";

    private TestServer Server => pico.Server;

    // A field of a chat, and the name that the error has.
    public static TheoryData<string, string> Fields => new()
    {
        { "\"temperature\":-0.1", "temperature" },
        { "\"temperature\":2.1", "temperature" },
        { "\"temperature\":999999", "temperature" },
        { "\"temperature\":1e999", "temperature" },
        { "\"temperature\":\"NaN\"", "temperature" },
        { "\"temperature\":[1]", "temperature" },
        { "\"top_p\":-1", "top_p" },
        { "\"top_p\":1.01", "top_p" },
        { "\"top_k\":-2", "top_k" },
        { "\"top_k\":1.5", "top_k" },
        { "\"min_p\":2", "min_p" },
        { "\"repetition_penalty\":0", "repetition_penalty" },
        { "\"repetition_penalty\":101", "repetition_penalty" },
        { "\"presence_penalty\":2.5", "presence_penalty" },
        { "\"frequency_penalty\":-2.5", "frequency_penalty" },
        { "\"max_tokens\":0", "max_tokens" },
        { "\"max_tokens\":-1", "max_tokens" },
        { "\"max_tokens\":99999999999", "max_tokens" },
        { "\"max_completion_tokens\":0", "max_completion_tokens" },
        { "\"n\":0", "n" },
        { "\"n\":9", "n" },
        { "\"n\":16384", "n" },
        { "\"n\":2,\"stream\":true", "n" },
        { "\"stream\":1", "stream" },
        { "\"seed\":1.5", "seed" },
        { "\"seed\":99999999999999999999", "seed" },
        { "\"stop\":5", "stop" },
        { "\"stop\":\"\"", "stop" },
        { "\"stop\":[\"a\",2]", "stop[1]" },
        { "\"logprobs\":3", "logprobs" },
        { "\"top_logprobs\":3", "top_logprobs" },
        { "\"logprobs\":true,\"top_logprobs\":21", "top_logprobs" },
        { "\"logprobs\":true,\"top_logprobs\":-1", "top_logprobs" },
        { "\"logit_bias\":{\"1024\":1}", "logit_bias" },
        { "\"logit_bias\":{\"-1\":1}", "logit_bias" },
        { "\"logit_bias\":{\"x\":1}", "logit_bias" },
        { "\"logit_bias\":{\"5\":101}", "logit_bias.5" },
        { "\"logit_bias\":[5]", "logit_bias" },
        { "\"response_format\":\"json\"", "response_format" },
        { "\"response_format\":{}", "response_format.type" },
        { "\"response_format\":{\"type\":\"xml\"}", "response_format.type" },
        { "\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema.schema" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\"}}", "response_format.json_schema.schema" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":5}}", "response_format.json_schema.schema" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"nothing\"}}}", "response_format" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"object\",\"not\":{}}}}", "response_format" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"$ref\":\"#/$defs/none\"}}}", "response_format" },
        { "\"priority\":\"urgent\"", "priority" },
        { "\"priority\":5", "priority" },
        { "\"time_limit\":0", "time_limit" },
        { "\"time_limit\":1e300", "time_limit" },
        { "\"stream_options\":5,\"stream\":true", "stream_options" },
        { "\"model\":5", "model" },
    };

    // What messages may not be.
    public static TheoryData<string, string> Messages => new()
    {
        { "null", "messages" },
        { "\"text\"", "messages" },
        { "[]", "messages" },
        { "{}", "messages" },
        { "[123]", "messages[0]" },
        { "[{}]", "messages[0].role" },
        { """[{"role":123,"content":"a"}]""", "messages[0].role" },
        { """[{"role":"king","content":"a"}]""", "messages[0].role" },
        { """[{"role":"user"}]""", "messages[0].content" },
        { """[{"role":"user","content":null}]""", "messages[0].content" },
        { """[{"role":"user","content":123}]""", "messages[0].content" },
        { """[{"role":"user","content":[]}]""", "messages[0].content" },
        { """[{"role":"user","content":[5]}]""", "messages[0].content[0]" },
        { """[{"role":"user","content":[{"type":"text"}]}]""", "messages[0].content[0].text" },
        { """[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]""", "messages[0].content[1].type" },
        { """[{"role":"user","content":"\ud83d"}]""", "messages[0].content" },
        { """[{"role":"user","content":"a"},{}]""", "messages[1].role" },
        { """[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]""", "messages" },
        { """[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"assistant","content":"c"}]""", "messages[2].role" },
        { """[{"role":"assistant","content":"a"}]""", "messages[0].role" },
        { """[{"role":"system","content":"a"}]""", "messages" },
        { """[{"role":"tool","content":"a"}]""", "messages[0].tool_call_id" },
    };

    public static TheoryData<string, string, string?> Bodies => new()
    {
        { "/v1/chat/completions", "", null },
        { "/v1/chat/completions", "\"str\"", null },
        { "/v1/chat/completions", "[1]", null },
        { "/v1/chat/completions", "42", null },
        { "/v1/chat/completions", "null", null },
        { "/v1/chat/completions", "{", null },
        { "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]} x", null },
        { "/v1/chat/completions", "{\"temperature\":0,\"temperature\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", null },
        { "/v1/chat/completions", "{}", "messages" },
        { "/v1/completions", "{}", "prompt" },
        { "/v1/completions", "{\"prompt\":\"\"}", "prompt" },
        { "/v1/completions", "{\"prompt\":[]}", "prompt" },
        { "/v1/completions", "{\"prompt\":[\"a\",\"\"]}", "prompt[1]" },
        { "/v1/completions", "{\"prompt\":[1,-1]}", "prompt[1]" },
        { "/v1/completions", "{\"prompt\":[1,1024]}", "prompt[1]" },
        { "/v1/completions", "{\"prompt\":[1,\"a\"]}", "prompt[1]" },
        { "/v1/completions", "{\"prompt\":[[1],[]]}", "prompt[1]" },
        { "/v1/completions", "{\"prompt\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", "prompt" },
        { "/v1/completions", "{\"prompt\":[\"1\",\"2\",\"3\"],\"n\":3}", "prompt" },
        { "/v1/completions", "{\"prompt\":[\"1\",\"2\"],\"stream\":true}", "prompt" },
        { "/v1/completions", "{\"prompt\":\"a\",\"best_of\":2}", "best_of" },
        { "/v1/completions", "{\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix" },
        { "/v1/completions", "{\"prompt\":\"a\",\"logprobs\":6}", "logprobs" },
        { "/v1/completions", "{\"prompt\":\"a\",\"logprobs\":1,\"echo\":true}", "echo" },
        { "/v1/embeddings", "{}", "input" },
        { "/v1/embeddings", "{\"input\":\"\"}", "input" },
        { "/v1/embeddings", "{\"input\":[]}", "input" },
        { "/v1/embeddings", "{\"input\":[\"\"]}", "input[0]" },
        { "/v1/embeddings", "{\"input\":{}}", "input" },
        { "/v1/embeddings", "{\"input\":[99999]}", "input[0]" },
        { "/v1/embeddings", "{\"input\":\"a\",\"dimensions\":4}", "dimensions" },
        { "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public async Task Field_OutOfRange_IsRefusedByName(string field, string parameter)
    {
        string body = TestServer.Chat(field);
        body = field.StartsWith("\"temperature\"", StringComparison.Ordinal) ? body.Replace("\"temperature\":0,", string.Empty, StringComparison.Ordinal) : body;
        (int status, JsonElement error, _) = await Server.ErrorAsync(ChatPath, body);
        Assert.Equal(400, status);
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(parameter, error.GetProperty("param").GetString());
        Assert.Contains(parameter, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public async Task Messages_ThatAreNone_AreRefusedByPlace(string messages, string parameter)
    {
        (int status, JsonElement error, _) = await Server.ErrorAsync(ChatPath, $$"""{"messages":{{messages}}}""");
        Assert.Equal(400, status);
        Assert.Equal(parameter, error.GetProperty("param").GetString());
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Body_ThatIsNoRequest_IsRefused(string path, string body, string? parameter)
    {
        (int status, JsonElement error, _) = await Server.ErrorAsync(path, body);
        Assert.Equal(400, status);
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(parameter, error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task Bias_ThatBansEveryToken_IsTheRequestsFault()
    {
        string all = string.Join(',', Enumerable.Range(0, 1024).Select(id => $"\"{id}\":-100"));
        (int status, JsonElement error, _) = await Server.ErrorAsync(ChatPath, $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}],\"logit_bias\":{{{all}}}}}");
        Assert.Equal((400, "logit_bias"), (status, error.GetProperty("param").GetString()));
        Assert.Contains("Every token is banned", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_OfDeepJson_IsRefused()
    {
        (int status, _, _) = await Server.ErrorAsync(ChatPath, $"{{\"messages\":{new string('[', 100_000)}");
        Assert.Equal(400, status);
    }

    [Fact]
    public async Task Body_ThatIsNotUtf8_IsRefused()
    {
        ByteArrayContent content = new([.. "{\"messages\":[{\"role\":\"user\",\"content\":\""u8, 0xFF, 0xFE, .. "\"}]}"u8]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        (int status, _, _) = await Server.ErrorAsync(new HttpRequestMessage(HttpMethod.Post, ChatPath) { Content = content });
        Assert.Equal(400, status);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData(null)]
    public async Task Body_OfAnotherType_IsRefused(string? type)
    {
        ByteArrayContent content = new(Encoding.UTF8.GetBytes(TestServer.Chat()));
        content.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        (int status, JsonElement error, _) = await Server.ErrorAsync(new HttpRequestMessage(HttpMethod.Post, ChatPath) { Content = content });
        Assert.Equal(415, status);
        Assert.Equal("unsupported_media_type", error.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Body_BeyondTheLimit_IsRefusedWithOrWithoutALength(bool known)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxRequestBodyBytes = 10_000);
        HttpRequestMessage request = TestServer.Request(ChatPath, TestServer.Chat(question: new string('a', 10_000)));
        request.Headers.TransferEncodingChunked = !known;
        (int status, JsonElement error, _) = await server.ErrorAsync(request);
        Assert.Equal(413, status);
        Assert.Equal("request_too_large", error.GetProperty("code").GetString());
        JsonElement body = await server.JsonAsync(ChatPath, TestServer.Chat());
        Assert.Equal(1, body.GetProperty("choices").GetArrayLength());
    }

    [Theory]
    [InlineData("/v1/chat/completions", "messages", "", true)]
    [InlineData("/v1/chat/completions", "messages", ",\"stream\":true", true)]
    [InlineData("/v1/completions", "prompt", "", false)]
    [InlineData("/v1/completions", "prompt", ",\"stream\":true", false)]
    [InlineData("/v1/embeddings", "input", "", false)]
    public async Task Prompt_BeyondTheContext_IsRefusedBeforeAnythingIsSent(string path, string field, string more, bool chat)
    {
        string text = string.Concat(Enumerable.Repeat("seven ", 600));
        string value = chat ? $$"""[{"role":"user","content":"{{text}}"}]""" : $"\"{text}\"";
        (int status, JsonElement error, _) = await Server.ErrorAsync(path, $"{{\"{field}\":{value}{more}}}");
        Assert.Equal(400, status);
        Assert.Equal("exceed_context_size_error", error.GetProperty("type").GetString());
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Equal(512, error.GetProperty("n_ctx").GetInt32());
        Assert.True(error.GetProperty("n_prompt_tokens").GetInt32() > 512);
    }

    [Theory]
    [InlineData(512, false)]
    [InlineData(511, true)]
    public async Task Prompt_ThatFillsTheContext_LeavesNoRoomForAnAnswer(int tokens, bool fits)
    {
        string ids = string.Join(',', Enumerable.Range(0, tokens).Select(i => i == 0 ? 1 : 300 + (i % 100)));
        using HttpResponseMessage response = await Server.PostAsync("/v1/completions", $"{{\"prompt\":[{ids}],\"temperature\":0}}");
        if (fits)
        {
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
            return;
        }

        (int status, JsonElement error, _) = await TestServer.ErrorOf(response);
        Assert.Equal(400, status);
        Assert.Equal(tokens, error.GetProperty("n_prompt_tokens").GetInt32());
    }

    [Theory]
    [InlineData("/v1/chat/completions", "{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}")]
    [InlineData("/v1/completions", "{\"model\":\"gpt-4\",\"prompt\":\"a\"}")]
    [InlineData("/v1/embeddings", "{\"model\":\"gpt-4\",\"input\":\"a\"}")]
    public async Task Model_ThatIsNotServed_IsNotFound(string path, string body)
    {
        (int status, JsonElement error, _) = await Server.ErrorAsync(path, body);
        Assert.Equal(404, status);
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
        Assert.Equal("model", error.GetProperty("param").GetString());
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404)]
    [InlineData("POST", "/v1/chat", 404)]
    [InlineData("GET", "/v1", 404)]
    [InlineData("GET", "/v1/models/gpt-4", 404)]
    [InlineData("GET", "/v1/chat/completions", 405)]
    [InlineData("DELETE", "/v1/models/pico-vicuna", 405)]
    [InlineData("POST", "/v1/models", 405)]
    [InlineData("PUT", "/health", 405)]
    public async Task Url_ThatIsNone_HasAnErrorInTheSameForm(string method, string path, int expected)
    {
        (int status, _, HttpResponseMessage response) = await Server.ErrorAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(expected, status);
        Assert.Equal(expected == 405, response.Content.Headers.Allow.Count > 0);
    }

    [Fact]
    public async Task Bodies_ThatAreDamaged_NeverFailTheServer()
    {
        byte[] valid = Encoding.UTF8.GetBytes(
            """{"messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"\u00e9x"}]}],"max_tokens":1,"stop":["a"],"logit_bias":{"5":-100},"n":1}""");
        Random random = new(12345);
        List<int> statuses = [];
        for (int i = 0; i < 1500; i++)
        {
            byte[] body = [.. valid];
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                int at = random.Next(body.Length);
                body = random.Next(5) switch
                {
                    0 => body[..at],
                    1 => [.. body[..at], .. body[random.Next(body.Length)..]],
                    2 => [.. body[..at], (byte)"{}[],:\"\\0e-u"[random.Next(12)], .. body[at..]],
                    3 => [.. body[..at], .. "\\ud83d"u8, .. body[at..]],
                    _ => [.. body[..at], (byte)random.Next(256), .. body[Math.Min(at + 1, body.Length)..]],
                };
                body = body.Length == 0 ? [.. "{"u8] : body;
            }

            ByteArrayContent content = new(body);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            using HttpResponseMessage response = await Server.Http.PostAsync(ChatPath, content);
            statuses.Add((int)response.StatusCode);
            Assert.True(response.StatusCode is System.Net.HttpStatusCode.OK or System.Net.HttpStatusCode.BadRequest or System.Net.HttpStatusCode.NotFound,
                $"{(int)response.StatusCode} for {Encoding.Latin1.GetString(body)}: {await response.Content.ReadAsStringAsync()}");
        }

        Assert.Contains(400, statuses);
        Assert.Contains(200, statuses);
    }
}
