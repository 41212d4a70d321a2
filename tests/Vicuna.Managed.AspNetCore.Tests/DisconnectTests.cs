using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Clients that go before their answer has come: their places are free soon, and nobody else notices.</summary>
public sealed class DisconnectTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData("/v1/chat/completions", false)]
    [InlineData("/v1/chat/completions", true)]
    [InlineData("/v1/completions", false)]
    [InlineData("/v1/completions", true)]
    public async Task Client_ThatGoes_FreesItsPlace(string path, bool stream)
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        string more = $"\"max_tokens\":400,\"stream\":{(stream ? "true" : "false")}";
        string body = path.EndsWith("chat/completions", StringComparison.Ordinal) ? TestServer.Long(more) : $"{{\"prompt\":\"Hello\",\"logit_bias\":{{\"2\":-100}},{more}}}";
        using Socket socket = await SendAsync(server, path, body);
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().ActiveRequests == 1, Long);
        socket.Close();
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus() is { ActiveRequests: 0, TotalCancelled: 1 }, Long);
        JsonElement next = await server.JsonAsync("/v1/chat/completions", TestServer.Chat("\"max_tokens\":2"));
        Assert.Equal(1, next.GetProperty("choices").GetArrayLength());
        await OverloadTests.AssertIdleAsync(server);
        Assert.True(server.Server.Engine!.GetStatus().TotalGeneratedTokens < 400);
        Assert.Contains(server.Log, line => line.Contains(" 499 ", StringComparison.Ordinal) && line.Contains("client_gone", StringComparison.Ordinal));
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_ThatGoesWhileItWaits_LeavesTheQueue()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        using Socket first = await SendAsync(server, "/v1/chat/completions", TestServer.Long());
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().ActiveRequests == 1, Long);
        using Socket second = await SendAsync(server, "/v1/chat/completions", TestServer.Long());
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().QueuedRequests == 1, Long);
        second.Close();
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().QueuedRequests == 0, Long);
        first.Close();
        await OverloadTests.AssertIdleAsync(server);
    }

    [Fact]
    public async Task Clients_TwoHundredThatGoAtOnce_LeaveAServerThatAnswers()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 4, queue: 1000);
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] requests = [.. Enumerable.Range(0, 200).Select(i => server.ChatAsync(
            TestServer.Long(i % 2 == 0 ? "\"stream\":true" : "\"max_tokens\":10000"), stop.Token))];
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus() is { ActiveRequests: > 0, QueuedRequests: > 100 }, Long);
        await stop.CancelAsync();
        await ((Task)Task.WhenAll(requests)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        foreach (Task<HttpResponseMessage> request in requests.Where(request => request.IsCompletedSuccessfully))
        {
            // Streams that had begun: their clients go too.
            (await request).Dispose();
        }

        JsonElement answer = await server.JsonAsync("/v1/chat/completions", TestServer.Chat());
        Assert.Equal(TestServer.Answer, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        await OverloadTests.AssertIdleAsync(server);
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_ThatSendsHalfARequestAndGoes_IsNoFailure()
    {
        await using TestServer server = await TestServer.StartAsync();
        using (Socket socket = await ConnectAsync(server))
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"messages\":"));
            await TestServer.UntilAsync(
                () => server.Http.GetStringAsync("/metrics").GetAwaiter().GetResult().Contains("\nvicuna_requests_in_progress 1\n", StringComparison.Ordinal), Long);
        }

        await OverloadTests.AssertIdleAsync(server);
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    internal static async Task<Socket> ConnectAsync(TestServer server)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", server.Url.Port, TestContext.Current.CancellationToken);
        return socket;
    }

    private static async Task<Socket> SendAsync(TestServer server, string path, string body)
    {
        Socket socket = await ConnectAsync(server);
        await socket.SendAsync(Encoding.UTF8.GetBytes(
            $"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"));
        return socket;
    }
}
