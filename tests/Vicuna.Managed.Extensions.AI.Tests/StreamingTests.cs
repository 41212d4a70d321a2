using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>What answers are made of.</summary>
public sealed class StreamingTests(Pico pico)
{
    [Fact]
    public async Task Updates_HaveRoleIdsModelAndTime_AllTheSame()
    {
        DateTimeOffset before = DateTimeOffset.UtcNow.AddSeconds(-1);
        List<ChatResponseUpdate> updates = await StreamAsync(Pico.Greedy);
        Assert.True(updates.Count > 3, $"An answer of several tokens came in {updates.Count} updates.");
        Assert.Equal(ChatRole.Assistant, updates[0].Role);
        Assert.All(updates, update =>
        {
            Assert.Equal(ChatRole.Assistant, update.Role);
            Assert.Equal(Pico.ModelId, update.ModelId);
            Assert.False(string.IsNullOrEmpty(update.ResponseId));
            Assert.Equal(updates[0].ResponseId, update.ResponseId);
            Assert.False(string.IsNullOrEmpty(update.MessageId));
            Assert.Equal(updates[0].MessageId, update.MessageId);
            Assert.NotNull(update.CreatedAt);
            Assert.Equal(updates[0].CreatedAt, update.CreatedAt);
            Assert.InRange(update.CreatedAt.Value, before, DateTimeOffset.UtcNow.AddSeconds(1));
            Assert.Null(update.ConversationId);
        });
        List<ChatResponseUpdate> others = await StreamAsync(Pico.Greedy);
        Assert.NotEqual(updates[0].ResponseId, others[0].ResponseId);
        Assert.NotEqual(updates[0].MessageId, others[0].MessageId);
    }

    [Fact]
    public async Task Updates_OnlyTheLast_HasFinishReasonAndUsage()
    {
        List<ChatResponseUpdate> updates = await StreamAsync(Pico.Greedy);
        Assert.All(updates[..^1], update =>
        {
            Assert.Null(update.FinishReason);
            Assert.NotEqual(string.Empty, update.Text);
            Assert.IsType<TextContent>(Assert.Single(update.Contents));
        });
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
        UsageDetails usage = Assert.Single(updates[^1].Contents.OfType<UsageContent>()).Details;
        GenerationResult result = ((GenerationChunk)updates[^1].RawRepresentation!).Result!;
        Assert.Equal(result.PromptTokens, usage.InputTokenCount);
        Assert.Equal(result.TokenIds.Count, usage.OutputTokenCount);
        Assert.Equal(usage.InputTokenCount + usage.OutputTokenCount, usage.TotalTokenCount);
        Assert.True(usage is { InputTokenCount: > 10, OutputTokenCount: > 3 });
        Assert.Equal(Pico.Answer, string.Concat(updates.Select(update => update.Text)));
    }

    [Fact]
    public async Task Usage_OfARepeatedPrompt_TellsWhatWasCached()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        string instructions = string.Join(' ', Enumerable.Repeat("Be brief and polite.", 20));
        ChatOptions options = new() { Temperature = 0, Instructions = instructions };
        ChatResponse first = await client.GetResponseAsync(Pico.Question, options);
        ChatResponse second = await client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(0, first.Usage!.CachedInputTokenCount);
        Assert.True(first.Usage.InputTokenCount > 64);
        Assert.InRange(second.Usage!.CachedInputTokenCount!.Value, 64, second.Usage.InputTokenCount!.Value - 1);
        Assert.Equal(first.Text, second.Text);
    }

    [Fact]
    public async Task Usage_OfAConversationsNextTurn_TellsThatTheHistoryWasCached()
    {
        using InferenceEngine engine = new(pico.Model);
        using VicunaChatClient client = new(engine);
        List<ChatMessage> history = [new(ChatRole.User, string.Join(' ', Enumerable.Repeat(Pico.Question, 10)))];
        ChatResponse first = await client.GetResponseAsync(history, Pico.GreedyOf(60));
        history.AddMessages(first);
        history.Add(new ChatMessage(ChatRole.User, Pico.Question));
        ChatResponse second = await client.GetResponseAsync(history, Pico.GreedyOf(10));
        // Whole pages of 64 tokens are kept.
        Assert.True(second.Usage!.CachedInputTokenCount > first.Usage!.InputTokenCount - 64);
    }

    [Fact]
    public async Task Response_IsWhatTheUpdatesComeTo()
    {
        ChatResponse streamed = (await StreamAsync(Pico.Greedy)).ToChatResponse();
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, Pico.Greedy);
        Assert.Equal(Pico.Answer, response.Text);
        Assert.Equal(streamed.Text, response.Text);
        Assert.Equal(streamed.FinishReason, response.FinishReason);
        Assert.Equal(streamed.ModelId, response.ModelId);
        Assert.Equal(streamed.Usage!.InputTokenCount, response.Usage!.InputTokenCount);
        Assert.Equal(streamed.Usage.OutputTokenCount, response.Usage.OutputTokenCount);
        ChatMessage message = Assert.Single(response.Messages);
        Assert.Equal(ChatRole.Assistant, message.Role);
        Assert.IsType<TextContent>(Assert.Single(message.Contents));
        Assert.False(string.IsNullOrEmpty(message.MessageId));
        Assert.False(string.IsNullOrEmpty(response.ResponseId));
        Assert.NotNull(response.CreatedAt);
        Assert.Equal(Pico.Answer, Assert.IsType<GenerationResult>(response.RawRepresentation).Text);
    }

    [Fact]
    public async Task Response_OfTheEngine_IsTheSame()
    {
        GenerationResult alone = await pico.Engine.GenerateAsync(
            Prompt.FromMessages([new Chat.ChatMessage(Chat.ChatRole.User, Pico.Question)]), new GenerationOptions { Temperature = 0 });
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, Pico.Greedy);
        Assert.Equal(alone.Text, response.Text);
        Assert.Equal(alone.TokenIds, Assert.IsType<GenerationResult>(response.RawRepresentation).TokenIds);
    }

    [Fact]
    public async Task FinishReason_WhereALimitEndsTheAnswer_IsLength()
    {
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, new ChatOptions { Temperature = 0, MaxOutputTokens = 2 });
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.Equal(2, response.Usage!.OutputTokenCount);
        Assert.StartsWith(response.Text, Pico.Answer, StringComparison.Ordinal);
    }

    private async Task<List<ChatResponseUpdate>> StreamAsync(ChatOptions options)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in pico.Client.GetStreamingResponseAsync(Pico.Question, options))
        {
            updates.Add(update);
        }

        return updates;
    }
}
