using Microsoft.Extensions.AI;
using Vicuna.Managed.Extensions.AI.Tests.Support;

namespace Vicuna.Managed.Extensions.AI.Tests;

/// <summary>
/// Faults of other local providers that are not here. Those that other tests show to be absent are named in the remarks.
/// </summary>
/// <remarks>
/// No usage, finish reason, model and response ids: <see cref="StreamingTests"/>. Stop sequences ignored, or found only where one token is the whole of one:
/// <see cref="OptionTests"/>. Formats ignored: <see cref="FormatTests"/>. Tools ignored in silence, or with every parameter a string: <see cref="ToolTests"/>.
/// Compute on callers' threads: <see cref="ThreadingTests"/>.
/// </remarks>
public sealed class IncumbentTests(Pico pico)
{
    [Fact]
    public async Task Answer_WithoutALimit_IsNotCutAt256()
    {
        ChatOptions options = Pico.GreedyOf(1);
        options.MaxOutputTokens = null;
        ChatResponse response = await pico.Client.GetResponseAsync(Pico.Question, options);
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.True(response.Usage!.OutputTokenCount > 256);
        Assert.InRange(response.Usage.TotalTokenCount!.Value, pico.Engine.ContextLength - 1, pico.Engine.ContextLength + 1);
    }

    [Fact]
    public async Task Limit_OfTheClientsOptions_IsForRequestsWithoutOne()
    {
        using VicunaChatClient client = new(pico.Engine, new VicunaChatClientOptions { DefaultMaxOutputTokens = 7 }, null);
        ChatOptions options = Pico.GreedyOf(9);
        Assert.Equal(9, (await client.GetResponseAsync(Pico.Question, options)).Usage!.OutputTokenCount);
        options.MaxOutputTokens = null;
        Assert.Equal(7, (await client.GetResponseAsync(Pico.Question, options)).Usage!.OutputTokenCount);
    }

    [Theory]
    [InlineData("User:")]
    [InlineData("Assistant:")]
    [InlineData("System:")]
    public async Task Answer_WithTheNameOfARole_IsNotCut(string role)
    {
        string text = $"Say {role} twice.";
        ChatOptions options = new() { Temperature = 0, RawRepresentationFactory = _ => new GenerationOptions { Constraint = OutputConstraint.Choice([text]) } };
        Assert.Equal(text, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
    }

    [Fact]
    public async Task PresencePenalty_IsNotARepetitionPenalty()
    {
        // As repetition penalties both would be refused.
        ChatOptions options = Pico.Greedy;
        options.PresencePenalty = -1;
        Assert.NotEqual(string.Empty, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
        options.PresencePenalty = 0;
        Assert.Equal(Pico.Answer, (await pico.Client.GetResponseAsync(Pico.Question, options)).Text);
    }

    [Fact]
    public async Task Instructions_AreNotTheLastMessage_AndTheHistoryIsNotLost()
    {
        (VicunaChatClient client, RecordingFormatter seen) = Pico.Recording(new VicunaChatClientOptions { DefaultMaxOutputTokens = 1 });
        using LanguageModel model = client.GetService<LanguageModel>()!;
        using (client)
        {
            ChatMessage[] messages = [new(ChatRole.User, "1"), new(ChatRole.Assistant, "2"), new(ChatRole.User, "3")];
            await client.GetResponseAsync(messages, new ChatOptions { Instructions = "Be brief." });
            await client.GetResponseAsync(messages, new ChatOptions { Instructions = "Be brief." });
        }

        Assert.Equal("System|Be brief.\nUser|1\nAssistant|2\nUser|3", seen.Last);
    }
}
