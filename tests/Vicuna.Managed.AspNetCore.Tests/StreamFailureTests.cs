using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using OpenAI.Chat;
using Vicuna.Managed.AspNetCore.Endpoints;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Metrics;
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
    public async Task Pieces_WhoseStreamCannotBeWrittenTo_EndWithThatErrorAndTheRequest()
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 4);
        List<InferenceRequest> others = await HoldAsync(server);
        InferenceRequest waiting = await server.Server.Engine!.SubmitAsync(Prompt.FromText("Hello"), cancellationToken: TestContext.Current.CancellationToken);
        VicunaServerOptions options = new() { ModelPath = TestServer.PicoFolder, PingInterval = TimeSpan.FromMilliseconds(1) };
        await using ModelHost host = new(Options.Create(options), NullLogger<ModelHost>.Instance);
        using ClosedStream closed = new();
        DefaultHttpContext http = new();
        http.Response.Body = closed;
        Exchange exchange = new(http, new ServerRoute("/", [], _ => Task.CompletedTask), host, new ServerMetrics(), CancellationToken.None);
        IOException error = await Assert.ThrowsAsync<IOException>(async () =>
        {
            await foreach (GenerationChunk piece in PieceReader.ReadAsync(exchange, waiting))
            {
                Assert.Fail("There is a piece, though others are being worked on.");
            }
        });
        Assert.Equal(ClosedStream.Message, error.Message);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.Completion.WaitAsync(Long, TestContext.Current.CancellationToken));
        others.ForEach(other => other.Cancel());
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

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task Stream_ThatWaitsForItsTurn_HasBegun(string path)
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 4, options => options.PingInterval = TimeSpan.FromMilliseconds(10));
        List<InferenceRequest> others = await HoldAsync(server);
        using HttpResponseMessage response = await server.Http.SendAsync(
            TestServer.Request(path, BodyOf(path)), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.False(others[^1].Completion.IsCompleted, "The stream began no sooner than its answer.");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        others.ForEach(other => other.Cancel());
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith(": ping\n\n", text, StringComparison.Ordinal);
        Assert.Equal("[DONE]", TestServer.EventsOf(text)[^1]);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task Stream_WhoseTurnDoesNotCome_EndsWithAnErrorAndABrokenConnection(string path)
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 4, options =>
        {
            options.PingInterval = TimeSpan.FromMilliseconds(1);
            options.TimeLimit = TimeSpan.FromMilliseconds(600);
        });
        List<InferenceRequest> others = await HoldAsync(server);
        using HttpResponseMessage response = await server.Http.SendAsync(
            TestServer.Request(path, BodyOf(path)), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode);
        await using Stream stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        using MemoryStream read = new();
        await Assert.ThrowsAnyAsync<IOException>(() => stream.CopyToAsync(read, 1, TestContext.Current.CancellationToken));
        string[] events = [.. TestServer.EventsOf(Encoding.UTF8.GetString(read.ToArray()))];
        Assert.Equal("time_limit", TestServer.Parse(Assert.Single(events)).GetProperty("error").GetProperty("code").GetString());
        others.ForEach(other => other.Cancel());
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

    private static string BodyOf(string path) => path.EndsWith("chat/completions", StringComparison.Ordinal)
        ? TestServer.Chat("\"stream\":true")
        : "{\"prompt\":\"Hello\",\"max_tokens\":5,\"stream\":true}";

    // Long answers, one after the other, that others have to wait for.
    private static async Task<List<InferenceRequest>> HoldAsync(TestServer server)
    {
        List<InferenceRequest> others = [];
        GenerationOptions endless = new() { IgnoreEndOfSequence = true, MaxNewTokens = 1000 };
        for (int i = 0; i < 3; i++)
        {
            others.Add(await server.Server.Engine!.SubmitAsync(Prompt.FromText("Hello"), endless, cancellationToken: TestContext.Current.CancellationToken));
        }

        return others;
    }

    private sealed class ClosedStream : MemoryStream
    {
        public const string Message = "The connection is closed.";

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException(Message);
    }
}
