using System.Text.Json;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>A server's life: the model is loaded, works, may fail, and ends.</summary>
public sealed class LifecycleTests
{
    private const string Path = "/v1/chat/completions";
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Server_WhileTheModelIsLoaded_Says503EverywhereAndLives()
    {
        TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestServer server = await TestServer.StartUnreadyAsync(options => options.ModelFactory = async stop =>
        {
            await loaded.Task.WaitAsync(stop);
            return await LanguageModel.LoadAsync(TestServer.PicoFolder, new LoadOptions { Threads = 1 }, stop);
        });
        Assert.Equal(ServerState.Loading, server.Server.State);
        Assert.Null(server.Server.Engine);
        foreach (HttpRequestMessage request in Everything())
        {
            (int status, JsonElement error, _) = await server.ErrorAsync(request);
            Assert.Equal((503, "unavailable_error", "model_loading"), (status, error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        }

        foreach (string path in new[] { "/health", "/health/ready" })
        {
            (int status, JsonElement body, HttpResponseMessage response) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, path));
            Assert.Equal(503, status);
            Assert.Equal("""{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}""", body.GetRawText());
            Assert.True(response.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        }

        Assert.Equal("""{"status":"ok"}""", await server.Http.GetStringAsync("/health/live", TestContext.Current.CancellationToken));
        loaded.SetResult();
        InferenceEngine engine = await server.Server.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        Assert.Same(engine, server.Server.Engine);
        Assert.Equal(ServerState.Ready, server.Server.State);
        foreach (string path in new[] { "/health", "/health/ready", "/health/live" })
        {
            Assert.Equal("""{"status":"ok"}""", await server.Http.GetStringAsync(path, TestContext.Current.CancellationToken));
        }

        Assert.Equal(1, (await server.JsonAsync(Path, TestServer.Chat())).GetProperty("choices").GetArrayLength());
    }

    [Fact]
    public async Task Server_StoppedWhileTheModelIsLoaded_StopsTheLoading()
    {
        bool stopped = false;
        await using TestServer server = await TestServer.StartUnreadyAsync(options => options.ModelFactory = async stop =>
        {
            try
            {
                await Task.Delay(Timeout.Infinite, stop);
            }
            finally
            {
                stopped = true;
            }

            throw new InvalidOperationException("It was not stopped.");
        });
        Task<InferenceEngine> waiting = server.Server.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        await server.StopAsync().WaitAsync(Long, TestContext.Current.CancellationToken);
        Assert.True(stopped);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task Model_ThatCannotBeLoaded_Is503WithoutPathsAndInTheLogWithThem()
    {
        string path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"no-such-model-{Guid.NewGuid():N}");
        await using TestServer server = await TestServer.StartUnreadyAsync(options => options.ModelPath = path);
        Exception failure = await Assert.ThrowsAnyAsync<Exception>(() => server.Server.WaitUntilReadyAsync(TestContext.Current.CancellationToken));
        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
        Assert.Equal(ServerState.Failed, server.Server.State);
        (int status, JsonElement error, _) = await server.ErrorAsync(Path, TestServer.Chat());
        Assert.Equal((503, "model_failed"), (status, error.GetProperty("code").GetString()));
        Assert.DoesNotContain("no-such-model", error.GetRawText(), StringComparison.Ordinal);
        (status, _, _) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health"));
        Assert.Equal(503, status);
        Assert.Contains(server.Log, line => line.StartsWith("Error: The model could not be loaded", StringComparison.Ordinal) && line.Contains(path, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Server_ThatStops_FinishesWhatItHasAndRefusesWhatComes(bool stream)
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 2, queue: 2);
        Task<HttpResponseMessage> underWay = server.ChatAsync(TestServer.Long($"\"max_tokens\":40,\"stream\":{(stream ? "true" : "false")}"));
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().ActiveRequests == 1, Long);
        Task stopping = server.StopAsync();
        await TestServer.UntilAsync(() => server.Server.State == ServerState.Draining, Long);
        foreach (HttpRequestMessage request in Everything())
        {
            (int status, JsonElement error, _) = await server.ErrorAsync(request);
            Assert.Equal((503, "shutting_down"), (status, error.GetProperty("code").GetString()));
        }

        (int ready, _, _) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health/ready"));
        Assert.Equal(503, ready);
        using HttpResponseMessage response = await underWay;
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Contains("\"finish_reason\":\"length\"", text, StringComparison.Ordinal);
        Assert.Equal(stream, text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));
        await stopping.WaitAsync(Long, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<HttpRequestException>(() => server.Http.GetAsync("/health", TestContext.Current.CancellationToken));
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Warning", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Server_ThatStops_FinishesEmbeddingsThatItHasBegun()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 4);
        string input = JsonSerializer.Serialize(Enumerable.Range(0, 40).Select(i => $"What is {i} plus {i}?"));
        Task<JsonElement> underWay = server.JsonAsync("/v1/embeddings", $"{{\"input\":{input}}}");
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().TotalRequests > 0, Long);
        Task stopping = server.StopAsync();
        Assert.Equal(40, (await underWay).GetProperty("data").GetArrayLength());
        await stopping.WaitAsync(Long, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Server_WhoseTimeToStopIsOver_CancelsWhatIsLeftAndSaysSo()
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 2, options => options.ShutdownTimeout = TimeSpan.Zero);
        Task<HttpResponseMessage> running = server.ChatAsync(TestServer.Long());
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().ActiveRequests == 1, Long);
        Task<HttpResponseMessage> waiting = server.ChatAsync(TestServer.Long());
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().QueuedRequests == 1, Long);
        await server.StopAsync().WaitAsync(Long, TestContext.Current.CancellationToken);
        foreach (Task<HttpResponseMessage> request in new[] { running, waiting })
        {
            (int status, JsonElement error, _) = await TestServer.ErrorOf(await request);
            Assert.Equal((503, "shutting_down"), (status, error.GetProperty("code").GetString()));
        }

        Assert.Contains(server.Log, line => line.StartsWith("Warning: Stopping: 2 requests", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Engine_ThatDies_IsUnhealthyAndRequestsAreTold()
    {
        LanguageModel? model = null;
        await using TestServer server = await TestServer.StartUnreadyAsync(options => options.ModelFactory = async stop =>
            model = await LanguageModel.LoadAsync(TestServer.PicoFolder, new LoadOptions { Threads = 1, InstructionSet = InstructionSet.Scalar }, stop));
        await server.Server.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        Task<HttpResponseMessage> running = server.ChatAsync(TestServer.Long());
        await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus().ActiveRequests == 1, Long);
        model!.Dispose();
        (int status, JsonElement error, _) = await TestServer.ErrorOf(await running);
        Assert.Equal((500, "server_error"), (status, error.GetProperty("type").GetString()));
        await TestServer.UntilAsync(() => !server.Server.Engine!.GetStatus().IsHealthy, Long);
        foreach (string path in new[] { "/health", "/health/ready", "/health/live" })
        {
            (status, JsonElement body, _) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, path));
            Assert.Equal((503, "unavailable_error"), (status, body.GetProperty("error").GetProperty("type").GetString()));
        }

        (status, error, _) = await server.ErrorAsync(Path, TestServer.Chat());
        Assert.Equal((503, "engine_failed"), (status, error.GetProperty("code").GetString()));
        Assert.Contains("\nvicuna_engine_healthy 0\n", await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_ThatAreWrong_StopTheStartByName()
    {
        foreach ((string name, Action<VicunaServerOptions> set) in new (string, Action<VicunaServerOptions>)[]
        {
            ("ModelPath", options => options.ModelPath = null),
            ("MaxChoices", options => options.MaxChoices = 0),
            ("MaxTokensLimit", options => options.MaxTokensLimit = 0),
            ("MaxRequestBodyBytes", options => options.MaxRequestBodyBytes = 0),
            ("ShutdownTimeout", options => options.ShutdownTimeout = TimeSpan.FromSeconds(-1)),
            ("PingInterval", options => options.PingInterval = TimeSpan.Zero),
            ("TimeLimit", options => options.TimeLimit = TimeSpan.Zero),
            ("API key", options => options.ApiKeys.Add("with a\nline")),
        })
        {
            Exception failure = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => TestServer.StartUnreadyAsync(options =>
            {
                options.ModelPath = TestServer.PicoFolder;
                set(options);
            }));
            Assert.Contains(name, failure.Message, StringComparison.Ordinal);
        }
    }

    private static IEnumerable<HttpRequestMessage> Everything() =>
    [
        TestServer.Request(Path, TestServer.Chat()),
        TestServer.Request(Path, TestServer.Chat("\"stream\":true")),
        TestServer.Request("/v1/completions", "{\"prompt\":\"a\"}"),
        TestServer.Request("/v1/embeddings", "{\"input\":\"a\"}"),
        new HttpRequestMessage(HttpMethod.Get, "/v1/models"),
        new HttpRequestMessage(HttpMethod.Get, "/v1/nothing"),
    ];
}
