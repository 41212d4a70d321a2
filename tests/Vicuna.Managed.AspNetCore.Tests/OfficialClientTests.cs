using System.ClientModel;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Every endpoint that the official client of OpenAI has, through it.</summary>
public sealed class OfficialClientTests(PicoServer pico)
{
    private static readonly ChatMessage[] Question = [new UserChatMessage(TestServer.Question)];

    private ChatClient Chat => pico.Server.Client().GetChatClient(TestServer.ModelId);

    [Fact]
    public async Task Chat_Answers_WithReasonUsageAndModel()
    {
        ChatCompletion answer = await Chat.CompleteChatAsync(Question, new ChatCompletionOptions { Temperature = 0 });
        Assert.Equal(TestServer.Answer, Assert.Single(answer.Content).Text);
        Assert.Equal(ChatMessageRole.Assistant, answer.Role);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal(TestServer.ModelId, answer.Model);
        Assert.StartsWith("chatcmpl-", answer.Id, StringComparison.Ordinal);
        Assert.StartsWith("vicuna-managed-", answer.SystemFingerprint, StringComparison.Ordinal);
        Assert.InRange(answer.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.Equal(answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount);
        Assert.True(answer.Usage.OutputTokenCount > 3);
        Assert.InRange(answer.Usage.InputTokenDetails.CachedTokenCount, 0, answer.Usage.InputTokenCount);
        Assert.Null(answer.Refusal);
    }

    [Fact]
    public async Task Chat_Stream_HasTextReasonAndUsage()
    {
        string text = string.Empty;
        List<StreamingChatCompletionUpdate> updates = [];
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(Question, new ChatCompletionOptions { Temperature = 0 }))
        {
            updates.Add(update);
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        }

        Assert.Equal(TestServer.Answer, text);
        Assert.Single(updates.Select(update => update.CompletionId).Distinct());
        Assert.Equal(ChatMessageRole.Assistant, Assert.Single(updates, update => update.Role is not null).Role);
        Assert.Equal(ChatFinishReason.Stop, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
        Assert.True(Assert.Single(updates, update => update.Usage is not null).Usage.OutputTokenCount > 3);
    }

    [Fact]
    public async Task Chat_EveryOption_IsTaken()
    {
        ChatCompletionOptions options = new()
        {
            Temperature = 0,
            TopP = 0.9f,
            FrequencyPenalty = 0.1f,
            PresencePenalty = 0.1f,
            MaxOutputTokenCount = 3,
            EndUserId = "somebody",
            StopSequences = { "xyz" },
            LogitBiases = { [5] = -100 },
            ResponseFormat = ChatResponseFormat.CreateTextFormat(),
        };
#pragma warning disable OPENAI001 // The property is for evaluation; clients use it all the same.
        options.Seed = 5;
#pragma warning restore OPENAI001
        ChatCompletion answer = await Chat.CompleteChatAsync(
            [new SystemChatMessage("Be brief."), new UserChatMessage("Hi."), new AssistantChatMessage("Hello."), .. Question], options);
        Assert.Equal(ChatFinishReason.Length, answer.FinishReason);
        Assert.Equal(3, answer.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task Chat_Stop_EndsTheAnswer()
    {
        ChatCompletion answer = await Chat.CompleteChatAsync(Question, new ChatCompletionOptions { Temperature = 0, StopSequences = { " is" } });
        Assert.Equal("Three plus four", answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

#pragma warning disable OPENAI001 // The property is for evaluation; clients use it all the same.
    [Fact]
    public async Task Chat_Seed_GivesTheSameTextAgain()
    {
        ChatMessage[] question = [new UserChatMessage("Hello")];
        ChatCompletionOptions options = new() { Temperature = 2, Seed = 11, MaxOutputTokenCount = 30 };
        ChatCompletion first = await Chat.CompleteChatAsync(question, options);
        ChatCompletion second = await Chat.CompleteChatAsync(question, options);
        Assert.Equal(first.Content[0].Text, second.Content[0].Text);
    }
#pragma warning restore OPENAI001

    [Fact]
    public async Task Chat_LogProbabilities_AreThereStreamedAndNot()
    {
        ChatCompletionOptions options = new() { Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2 };
        ChatCompletion answer = await Chat.CompleteChatAsync(Question, options);
        Assert.NotEmpty(answer.ContentTokenLogProbabilities);
        Assert.All(answer.ContentTokenLogProbabilities, token => Assert.Equal(2, token.TopLogProbabilities.Count));
        Assert.All(answer.ContentTokenLogProbabilities, token => Assert.True(token.LogProbability <= 0));
        Assert.Equal(TestServer.Answer, string.Concat(answer.ContentTokenLogProbabilities.Select(token => token.Token)).Trim());

        List<ChatTokenLogProbabilityDetails> streamed = [];
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(Question, options))
        {
            streamed.AddRange(update.ContentTokenLogProbabilities);
        }

        Assert.Equal(answer.ContentTokenLogProbabilities.Select(token => token.Token), streamed.Select(token => token.Token));
        Assert.Equal(answer.ContentTokenLogProbabilities.Select(token => token.LogProbability), streamed.Select(token => token.LogProbability));
    }

    [Fact]
    public async Task Chat_JsonSchema_IsKeptAtAnyTemperature()
    {
        BinaryData schema = BinaryData.FromString("""
            {"type":"object","properties":{"sum":{"type":"integer"},"parity":{"enum":["even","odd"]}},"required":["sum","parity"],"additionalProperties":false}
            """);
        ChatCompletionOptions options = new()
        {
            Temperature = 1.5f,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("sum", schema, jsonSchemaIsStrict: true),
            MaxOutputTokenCount = 200,
        };
        ChatCompletion answer = await Chat.CompleteChatAsync(Question, options);
        if (answer.FinishReason == ChatFinishReason.Stop)
        {
            Assert.Contains(TestServer.Parse(answer.Content[0].Text).GetProperty("parity").GetString(), new[] { "even", "odd" });
        }

        Assert.StartsWith("{", answer.Content[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_JsonObject_IsKeptInAStream()
    {
        ChatCompletionOptions options = new() { Temperature = 0, ResponseFormat = ChatResponseFormat.CreateJsonObjectFormat(), MaxOutputTokenCount = 60 };
        string text = string.Empty;
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(Question, options))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        }

        Assert.StartsWith("{", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embeddings_OfOneAndOfSeveral_AreUnitVectors()
    {
        EmbeddingClient client = pico.Server.Client().GetEmbeddingClient(TestServer.ModelId);
        OpenAIEmbedding one = await client.GenerateEmbeddingAsync("Hello");
        OpenAIEmbeddingCollection several = await client.GenerateEmbeddingsAsync(["What is 3 plus 4?", "Hello"]);
        Assert.Equal(128, one.ToFloats().Length);
        Assert.Equal(one.ToFloats().ToArray(), several[1].ToFloats().ToArray());
        Assert.Equal([0, 1], several.Select(item => item.Index));
        Assert.All(several, item => Assert.Equal(1, item.ToFloats().ToArray().Sum(value => value * value), 1e-4));
        Assert.Equal(TestServer.ModelId, several.Model);
        Assert.True(several.Usage.InputTokenCount > 4 && several.Usage.TotalTokenCount == several.Usage.InputTokenCount);
    }

    [Fact]
    public async Task Models_AreListedAndFoundByName()
    {
        OpenAIModelClient client = pico.Server.Client().GetOpenAIModelClient();
        OpenAIModelCollection models = await client.GetModelsAsync();
        OpenAIModel model = Assert.Single(models);
        Assert.Equal((TestServer.ModelId, "vicuna.managed"), (model.Id, model.OwnedBy));
        OpenAIModel found = await client.GetModelAsync(TestServer.ModelId);
        Assert.Equal(model.CreatedAt, found.CreatedAt);
        ClientResultException missing = await Assert.ThrowsAsync<ClientResultException>(() => client.GetModelAsync("gpt-4"));
        Assert.Equal(404, missing.Status);
    }

    [Fact]
    public async Task Errors_AreReadByTheClientWithTypeCodeAndParameter()
    {
        ClientResultException wrong = await Assert.ThrowsAsync<ClientResultException>(
            () => Chat.CompleteChatAsync(Question, new ChatCompletionOptions { TopP = 3 }));
        Assert.Equal(400, wrong.Status);
        Assert.Contains("invalid_request_error: invalid_value", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("Parameter: top_p", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("from 0 to 1, found 3", wrong.Message, StringComparison.Ordinal);

        // A stream's error comes before the stream.
        ChatMessage[] tooLong = [new UserChatMessage(string.Concat(Enumerable.Repeat("seven ", 600)))];
        ClientResultException longer = await Assert.ThrowsAsync<ClientResultException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(tooLong))
            {
                Assert.Fail($"Nothing should have come, found {update.CompletionId}.");
            }
        });
        Assert.Equal(400, longer.Status);
        Assert.Contains("context_length_exceeded", longer.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Key_ThatIsWrong_IsReadAsSuch()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.ApiKeys.Add("a-key-of-this-test"));
        ChatCompletion answer = await server.Client("a-key-of-this-test").GetChatClient(TestServer.ModelId).CompleteChatAsync(Question);
        Assert.NotEmpty(answer.Content);
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(
            () => server.Client("another").GetChatClient(TestServer.ModelId).CompleteChatAsync(Question));
        Assert.Equal(401, refused.Status);
        Assert.Contains("invalid_api_key", refused.Message, StringComparison.Ordinal);
    }
}
