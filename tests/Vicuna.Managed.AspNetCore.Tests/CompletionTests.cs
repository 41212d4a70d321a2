using System.Text;
using System.Text.Json;
using Vicuna.Managed.AspNetCore.Endpoints;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Completions and embeddings over plain HTTP.</summary>
public sealed class CompletionTests(PicoServer pico)
{
    private const string Path = "/v1/completions";
    private const string Prompt = "A chat. USER: What is 3 plus 4? ASSISTANT:";

    private TestServer Server => pico.Server;

    [Fact]
    public async Task Response_HasTheOlderForm()
    {
        JsonElement body = await Server.JsonAsync(Path, $$"""{"prompt":"{{Prompt}}","temperature":0,"max_tokens":5}""");
        Assert.StartsWith("cmpl-", body.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("text_completion", body.GetProperty("object").GetString());
        JsonElement choice = Assert.Single(body.GetProperty("choices").EnumerateArray());
        Assert.NotEqual(string.Empty, choice.GetProperty("text").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        Assert.Equal(5, body.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Prompts_AsTextOrIdsOneOrSeveral_AreTheSame()
    {
        using LanguageModel model = LanguageModel.Load(TestServer.PicoFolder, new LoadOptions { Threads = 1 });
        string ids = $"[{string.Join(',', model.Encode(Managed.Prompt.FromText(Prompt)))}]";
        string expected = model.Generate(Prompt, new GenerationOptions { Temperature = 0, MaxNewTokens = 8 }).Text;
        foreach (string prompt in new[] { $"\"{Prompt}\"", ids, $"[\"{Prompt}\",\"{Prompt}\"]", $"[{ids},{ids}]" })
        {
            JsonElement body = await Server.JsonAsync(Path, $$"""{"prompt":{{prompt}},"temperature":0,"max_tokens":8}""");
            Assert.All(body.GetProperty("choices").EnumerateArray(), choice => Assert.Equal(expected, choice.GetProperty("text").GetString()));
            int prompts = prompt[0] == '[' && prompt[1] is '[' or '"' ? 2 : 1;
            Assert.Equal(prompts, body.GetProperty("choices").GetArrayLength());
            Assert.Equal(prompts * model.Encode(Managed.Prompt.FromText(Prompt)).Count, body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"echo\":true")]
    public async Task Stream_HasTheTextOfTheWhole(string more)
    {
        string body = $$"""{"prompt":"{{Prompt}}","temperature":0,"max_tokens":5{{more}}}""";
        string? whole = (await Server.JsonAsync(Path, body)).GetProperty("choices")[0].GetProperty("text").GetString();
        List<string> events = await Server.EventsAsync(Path, body[..^1] + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
        Assert.Equal("[DONE]", events[^1]);
        JsonElement[] chunks = [.. events[..^1].Select(TestServer.Parse)];
        Assert.Equal(5, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        JsonElement[] choices = [.. chunks[..^1].Select(chunk => chunk.GetProperty("choices")[0])];
        Assert.Equal(whole, string.Concat(choices.Select(choice => choice.GetProperty("text").GetString())));
        Assert.Equal("length", choices[^1].GetProperty("finish_reason").GetString());
        Assert.Equal(more.Length > 0, whole!.StartsWith(Prompt, StringComparison.Ordinal));
    }

    [Fact]
    public async Task LogProbabilities_HaveTheOlderForm()
    {
        JsonElement choice = (await Server.JsonAsync(Path, $$"""{"prompt":"{{Prompt}}","temperature":0,"max_tokens":4,"logprobs":2}""")).GetProperty("choices")[0];
        JsonElement found = choice.GetProperty("logprobs");
        string[] tokens = [.. found.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)];
        Assert.Equal(4, tokens.Length);
        Assert.Equal(4, found.GetProperty("token_logprobs").GetArrayLength());
        Assert.All(found.GetProperty("top_logprobs").EnumerateArray(), top => Assert.InRange(top.EnumerateObject().Count(), 1, 2));
        int[] offsets = [.. found.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32())];
        Assert.Equal(0, offsets[0]);
        Assert.Equal(tokens[0].Length, offsets[1]);
        Assert.Equal(choice.GetProperty("text").GetString(), string.Concat(tokens));
    }

    [Fact]
    public async Task LogProbabilities_OfUnlikelyTokens_AreAmongTheTopToo()
    {
        const string Body = $$"""{"prompt":"{{Prompt}}","temperature":2,"top_p":1,"seed":5,"max_tokens":30,"logprobs":1}""";
        JsonElement found = (await Server.JsonAsync(Path, Body)).GetProperty("choices")[0].GetProperty("logprobs");
        string[] tokens = [.. found.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)];
        JsonElement[] top = [.. found.GetProperty("top_logprobs").EnumerateArray()];
        Assert.All(tokens.Zip(top), pair => Assert.True(pair.Second.TryGetProperty(pair.First, out _), pair.First));
        Assert.Contains(top, place => place.EnumerateObject().Count() == 2);
    }

    [Fact]
    public void LogProbabilities_OfAnyTokens_AreWhereTheirTextIs()
    {
        using LanguageModel model = LanguageModel.Load(TestServer.PicoFolder, new LoadOptions { Threads = 1 });
        int[] ids = [.. model.Tokenizer.Encode("ab \U0001F600 cd", addBos: false), model.Tokenizer.VocabularySize + 3, .. model.Tokenizer.Encode("e", addBos: false)];
        string text = CompletionsEndpoint.TextOf(Managed.Prompt.FromTokens(ids), model);
        Assert.Contains("\U0001F600", text, StringComparison.Ordinal);
        Assert.Equal('e', text[^1]);
        GenerationResult whole = new(text, ids, FinishReason.MaxNewTokens, 1, TimeSpan.Zero, TimeSpan.Zero);
        TokenLogProbability[] tokens = [.. ids.Select(id => new TokenLogProbability(id, -1) { Top = [new TokenLogProbability(model.Tokenizer.VocabularySize, -1)] })];

        // The dummy prefix, which Decode leaves out, is left out of a turn.
        IReadOnlyList<AnswerToken> placed = new AnswerTokens(model, isTurn: true).Take(tokens, text, whole)!;
        Assert.Equal(ids, placed.Select(token => token.Token.TokenId));
        JsonElement classic = Written(json => LogProbabilityWriter.WriteClassic(json, model, placed));
        string[] texts = [.. classic.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)];
        int[] offsets = [.. classic.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32())];
        Assert.All(
            texts.Zip(offsets).Where(pair => !pair.First.Contains('\uFFFD', StringComparison.Ordinal)),
            pair => Assert.Equal(pair.First, text.Substring(pair.Second, pair.First.Length)));
        Assert.Equal(text.Length, offsets[^1] + texts[^1].Length);

        JsonElement[] chat = [.. Written(json => LogProbabilityWriter.WriteChat(json, model, placed)).GetProperty("content").EnumerateArray()];
        JsonElement beyond = chat[Array.IndexOf(ids, model.Tokenizer.VocabularySize + 3)];
        foreach (JsonElement token in new[] { beyond, beyond.GetProperty("top_logprobs")[0] })
        {
            Assert.Equal(string.Empty, token.GetProperty("token").GetString());
            Assert.Equal(JsonValueKind.Null, token.GetProperty("bytes").ValueKind);
        }

        byte[] bytes = [.. chat.Select(token => token.GetProperty("bytes")).Where(value => value.ValueKind == JsonValueKind.Array)
            .SelectMany(value => value.EnumerateArray()).Select(value => value.GetByte())];
        Assert.Equal(text, Encoding.UTF8.GetString(bytes));

        static JsonElement Written(Action<Utf8JsonWriter> write)
        {
            using MemoryStream stream = new();
            using (Utf8JsonWriter json = new(stream))
            {
                json.WriteStartObject();
                write(json);
                json.WriteEndObject();
            }

            return JsonDocument.Parse(stream.ToArray()).RootElement.GetProperty("logprobs");
        }
    }

    [Fact]
    public async Task Embeddings_WhoseTimeIsOverBeforeTheLast_AreRefused()
    {
        // Each of them alone has time enough.
        string input = JsonSerializer.Serialize(Enumerable.Range(0, 2048).Select(i => $"What is {i} plus {i}?"));
        (int status, JsonElement error, _) = await Server.ErrorAsync("/v1/embeddings", $"{{\"input\":{input},\"time_limit\":0.1}}");
        Assert.Equal((503, "time_limit"), (status, error.GetProperty("code").GetString()));
    }

    [Fact]
    public async Task Embeddings_AsNumbersOrBase64_AreTheSameUnitVector()
    {
        const string Input = "\"input\":[\"What is 3 plus 4?\",\"Hello\"]";
        JsonElement floats = await Server.JsonAsync("/v1/embeddings", $"{{{Input},\"encoding_format\":\"float\"}}");
        JsonElement encoded = await Server.JsonAsync("/v1/embeddings", $"{{{Input},\"encoding_format\":\"base64\"}}");
        Assert.Equal("list", floats.GetProperty("object").GetString());
        Assert.Equal(2, floats.GetProperty("data").GetArrayLength());
        Assert.True(floats.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 4);
        for (int i = 0; i < 2; i++)
        {
            JsonElement item = floats.GetProperty("data")[i];
            Assert.Equal("embedding", item.GetProperty("object").GetString());
            Assert.Equal(i, item.GetProperty("index").GetInt32());
            float[] vector = [.. item.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle())];
            byte[] bytes = encoded.GetProperty("data")[i].GetProperty("embedding").GetBytesFromBase64();
            Assert.Equal(128, vector.Length);
            Assert.Equal(1, vector.Sum(value => value * value), 1e-4);
            Assert.Equal(vector, Enumerable.Range(0, 128).Select(j => BitConverter.ToSingle(bytes, 4 * j)));
        }

        Assert.NotEqual(floats.GetProperty("data")[0].GetProperty("embedding").ToString(), floats.GetProperty("data")[1].GetProperty("embedding").ToString());
    }

    [Theory]
    [InlineData("\"Hello\"")]
    [InlineData("[1,300,301]")]
    [InlineData("[[1,300,301],[1,302]]")]
    public async Task Embeddings_OfTextOrIds_AreTaken(string input)
    {
        JsonElement body = await Server.JsonAsync("/v1/embeddings", $"{{\"input\":{input}}}");
        Assert.Equal(128, body.GetProperty("data")[0].GetProperty("embedding").GetArrayLength());
    }

    [Fact]
    public async Task Embeddings_OfManyTexts_ComeInTheirOrder()
    {
        string[] texts = [.. Enumerable.Range(0, 40).Select(i => $"What is {i} plus {i}?")];
        JsonElement many = await Server.JsonAsync("/v1/embeddings", JsonSerializer.Serialize(new { input = texts }));
        JsonElement one = await Server.JsonAsync("/v1/embeddings", JsonSerializer.Serialize(new { input = texts[37] }));
        Assert.Equal(one.GetProperty("data")[0].GetProperty("embedding").ToString(), many.GetProperty("data")[37].GetProperty("embedding").ToString());
    }
}
