using System.ComponentModel;
using Microsoft.Extensions.AI;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>The server through Microsoft.Extensions.AI's adapter of OpenAI's client.</summary>
public sealed class ExtensionsAITests(PicoServer pico)
{
    private IChatClient Chat => pico.Server.Client().GetChatClient(TestServer.ModelId).AsIChatClient();

    [Fact]
    public async Task Response_HasTextReasonUsageAndNames()
    {
        ChatResponse answer = await Chat.GetResponseAsync(TestServer.Question, new ChatOptions { Temperature = 0 }, TestContext.Current.CancellationToken);
        Assert.Equal(TestServer.Answer, answer.Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal(TestServer.ModelId, answer.ModelId);
        Assert.StartsWith("chatcmpl-", answer.ResponseId, StringComparison.Ordinal);
        Assert.True(answer.Usage?.InputTokenCount > 10 && answer.Usage.OutputTokenCount > 3);
    }

    [Fact]
    public async Task Stream_ComesToTheSameResponse()
    {
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 5 };
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in Chat.GetStreamingResponseAsync(TestServer.Question, options, TestContext.Current.CancellationToken))
        {
            updates.Add(update);
        }

        ChatResponse streamed = updates.ToChatResponse();
        ChatResponse whole = await Chat.GetResponseAsync(TestServer.Question, options, TestContext.Current.CancellationToken);
        Assert.Equal(whole.Text, streamed.Text);
        Assert.Equal(ChatFinishReason.Length, streamed.FinishReason);
        Assert.Equal(whole.Usage?.OutputTokenCount, streamed.Usage?.OutputTokenCount);
        Assert.Equal(5, streamed.Usage?.OutputTokenCount);
    }

    [Fact]
    public async Task Form_OfAType_IsFilledIn()
    {
        ChatResponse<Sum> answer = await Chat.GetResponseAsync<Sum>(
            TestServer.Question, new ChatOptions { Temperature = 0, MaxOutputTokens = 200 }, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.True(answer.TryGetResult(out Sum? sum), answer.Text);
        Assert.True(Enum.IsDefined(sum.Parity));
    }

    [Fact]
    public async Task Embeddings_AreThoseOfTheServer()
    {
        using IEmbeddingGenerator<string, Embedding<float>> generator = pico.Server.Client().GetEmbeddingClient(TestServer.ModelId).AsIEmbeddingGenerator();
        GeneratedEmbeddings<Embedding<float>> vectors = await generator.GenerateAsync(["Hello", "Bye"], cancellationToken: TestContext.Current.CancellationToken);
        Assert.All(vectors, vector => Assert.Equal(128, vector.Vector.Length));
        Assert.True(vectors.Usage?.InputTokenCount > 1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Functions_AreCalledAndAnsweredToTheEnd(bool stream)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.EnablePromptTools = true);
        List<string> cities = [];
        AIFunction weather = AIFunctionFactory.Create(
            ([Description("One of the two.")] Place place) =>
            {
                cities.Add(place.ToString());
                return "17 degrees";
            },
            "get_weather",
            "The weather of a place.");
        using IChatClient client = server.Client().GetChatClient(TestServer.ModelId).AsIChatClient().AsBuilder()
            .UseFunctionInvocation(configure: functions => functions.MaximumIterationsPerRequest = 2).Build();
        ChatOptions options = new() { Temperature = 0, Tools = [weather], ToolMode = ChatToolMode.RequireSpecific("get_weather"), MaxOutputTokens = 100 };
        ChatResponse answer = stream
            ? await client.GetStreamingResponseAsync("Weather?", options, TestContext.Current.CancellationToken).ToChatResponseAsync(TestContext.Current.CancellationToken)
            : await client.GetResponseAsync("Weather?", options, TestContext.Current.CancellationToken);
        Assert.NotEmpty(cities);
        Assert.All(cities, city => Assert.True(Enum.TryParse<Place>(city, out _)));
        FunctionResultContent result = answer.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>().First();
        Assert.Contains("17 degrees", result.Result?.ToString(), StringComparison.Ordinal);
    }

    private enum Parity
    {
        Even,
        Odd,
    }

    private enum Place
    {
        Rome,
        Oslo,
    }

    private sealed record Sum(int Total, Parity Parity);
}
