using System.Text;
using Microsoft.Extensions.AI;
using OpenAI.Chat;
using Vicuna.Managed.AspNetCore.Tests.Support;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Streams that cannot go on to their end, and streams that are silent for long.</summary>
public sealed class StreamFailureTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);
    private static readonly ChatMessage[] Question = [new UserChatMessage(TestServer.Question)];

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task Stream_ThatFails_EndsWithAnErrorAndABrokenConnection(string path)
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        string body = path.EndsWith("chat/completions", StringComparison.Ordinal)
            ? TestServer.Long("\"stream\":true")
            : "{\"prompt\":\"Hello\",\"logit_bias\":{\"2\":-100},\"stream\":true}";
        using HttpResponseMessage response = await server.Http.SendAsync(TestServer.Request(path, body), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode);
        await using Stream stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (true)
            {
                int read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
                Assert.NotEqual(0, read);
                text.Append(Encoding.UTF8.GetString(buffer, 0, read));
                // Nothing else ends a request from outside in the middle of its answer.
                server.Server.Engine!.Dispose();
            }
        });
        List<string> events = TestServer.EventsOf(text.ToString());
        Assert.DoesNotContain("[DONE]", events);
        Assert.Equal("server_error", TestServer.Parse(events[^1]).GetProperty("error").GetProperty("type").GetString());
        Assert.DoesNotContain("   at ", events[^1], StringComparison.Ordinal);
        Assert.Contains(server.Log, line => line.StartsWith("Error: Request ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stream_ThatFails_IsNoticedByTheOfficialClient()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in server.Client().GetChatClient(TestServer.ModelId).CompleteChatStreamingAsync(
                Question, new ChatCompletionOptions { LogitBiases = { [2] = -100 } }, TestContext.Current.CancellationToken))
            {
                Assert.Null(update.FinishReason);
                server.Server.Engine!.Dispose();
            }
        });
    }

    [Fact]
    public async Task Stream_ThatFails_IsNoticedThroughMicrosoftExtensionsAI()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        using IChatClient client = server.Client().GetChatClient(TestServer.ModelId).AsIChatClient();
        ChatOptions options = new() { RawRepresentationFactory = _ => new ChatCompletionOptions { LogitBiases = { [2] = -100 } } };
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync("Hello", options, TestContext.Current.CancellationToken))
            {
                Assert.Null(update.FinishReason);
                server.Server.Engine!.Dispose();
            }
        });
    }

    [Fact]
    public async Task Stream_CutByTheEndOfTheServer_SaysSo()
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 1, options => options.ShutdownTimeout = TimeSpan.Zero);
        using HttpResponseMessage response = await server.Http.SendAsync(
            TestServer.Request("/v1/chat/completions", TestServer.Long("\"stream\":true")), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        await using Stream stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        Task stopping = server.StopAsync();
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (true)
            {
                int read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
                Assert.NotEqual(0, read);
                text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            }
        });
        await stopping.WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.Equal("shutting_down", TestServer.Parse(TestServer.EventsOf(text.ToString())[^1]).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Stream_ThatIsSilent_IsKeptAliveByComments()
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 1, options => options.PingInterval = TimeSpan.FromTicks(1));
        using HttpResponseMessage response = await server.ChatAsync(TestServer.Long("\"stream\":true,\"max_tokens\":20"), TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("\n\n: ping\n\n", text, StringComparison.Ordinal);
        List<string> events = TestServer.EventsOf(text);
        Assert.Equal("[DONE]", events[^1]);

        // To clients they are nothing.
        string read = string.Empty;
        await foreach (StreamingChatCompletionUpdate update in server.Client().GetChatClient(TestServer.ModelId).CompleteChatStreamingAsync(
            Question, new ChatCompletionOptions { Temperature = 0 }, TestContext.Current.CancellationToken))
        {
            read += string.Concat(update.ContentUpdate.Select(part => part.Text));
        }

        Assert.Equal(TestServer.Answer, read);
    }
}
