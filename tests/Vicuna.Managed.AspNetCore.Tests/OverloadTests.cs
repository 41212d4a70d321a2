using System.ClientModel;
using System.ClientModel.Primitives;
using System.Diagnostics;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>More requests than there is room for: they wait, or are refused with the time after which to come again.</summary>
public sealed class OverloadTests
{
    private const string Path = "/v1/chat/completions";
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 4)]
    [InlineData(4, 6)]
    public async Task Requests_BeyondTheSlots_WaitAndAllSucceed(int slots, int requests)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.EngineOptions = new EngineOptions { MaxConcurrentRequests = slots, MaxQueuedRequests = 8 });
        JsonElement[] answers = await Task.WhenAll(Enumerable.Range(0, requests).Select(_ => server.JsonAsync(Path, TestServer.Chat())));
        Assert.All(answers, answer => Assert.Equal(TestServer.Answer, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()));
    }

    [Fact]
    public async Task Requests_BeyondTheMemoryOfKeysAndValues_WaitAndNoneIsLost()
    {
        await using TestServer server = await TestServer.StartAsync(
            options => options.EngineOptions = new EngineOptions { KeyValueMemoryBytes = 1 << 20, MaxQueuedRequests = 20 });
        InferenceEngine engine = server.Server.Engine!;
        const string Most = "\"max_tokens\":300";
        Task<JsonElement> alone = server.JsonAsync(Path, TestServer.Long(Most));
        await TestServer.UntilAsync(() => engine.GetStatus().KeyValueBytesActive > 0, Long);
        long each = engine.GetStatus().KeyValueBytesActive;
        await alone;
        Assert.True(engine.Options.MaxConcurrentRequests * each > engine.GetStatus().KeyValueBytesCapacity, $"8 x {each} fit; they should not.");

        Task<JsonElement[]> answers = Task.WhenAll(Enumerable.Range(0, 16).Select(_ => server.JsonAsync(Path, TestServer.Chat(Most))));
        while (!answers.IsCompleted)
        {
            EngineStatus status = engine.GetStatus();
            Assert.True(status.KeyValueBytesActive + status.KeyValueBytesCached <= status.KeyValueBytesCapacity);
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Assert.All(await answers, answer => Assert.Equal(TestServer.Answer, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()));
        await AssertIdleAsync(server);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"stream\":true")]
    public async Task Requests_BeyondTheQueue_AreRefusedWith429AndRetryAfter(string more)
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 1);
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] busy = await FillAsync(server, 2, stop.Token);
        (int status, JsonElement error, HttpResponseMessage response) = await server.ErrorAsync(Path, TestServer.Chat(more));
        Assert.Equal(429, status);
        Assert.Equal(("rate_limit_error", "queue_full"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        (status, _, _) = await server.ErrorAsync("/v1/embeddings", "{\"input\":\"a\"}");
        Assert.Equal(429, status);
        // Whatever it is: it is not even read.
        (status, _, _) = await server.ErrorAsync(Path, "{");
        Assert.Equal(429, status);
        Assert.Contains("\nvicuna_rejected_total 3\n", await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // Another one more would be refused too: whoever spreads requests is told in time.
        (status, _, response) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health/ready"));
        Assert.Equal(503, status);
        Assert.True(response.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        (status, _, _) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health"));
        Assert.Equal(200, status);
        await EndAsync(server, stop, busy);
        (status, _, _) = await server.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health/ready"));
        Assert.Equal(200, status);
    }

    [Fact]
    public async Task OfficialClient_RefusedWith429_WaitsAsLongAsItIsTold()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 0);
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] busy = await FillAsync(server, 1, stop.Token);
        OpenAIClient client = new(
            new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(server.Url, "/v1"), RetryPolicy = new ClientRetryPolicy(maxRetries: 1) });
        long start = Stopwatch.GetTimestamp();
        try
        {
            await client.GetChatClient(TestServer.ModelId).CompleteChatAsync([new UserChatMessage("Hi")], cancellationToken: TestContext.Current.CancellationToken);
        }
        catch (ClientResultException refused)
        {
            // Twice, where the long answer was still under way.
            Assert.Equal(429, refused.Status);
        }

        Assert.Matches("\nvicuna_rejected_total [12]\n", await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken));
        // Between the two attempts there was the second of Retry-After; without the header there would have been nothing.
        Assert.True(Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(0.9));
        await EndAsync(server, stop, busy);
    }

    [Fact]
    public async Task Embeddings_ThatFindNoMoreRoomForTheirNextText_WaitForIt()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 2, queue: 1);
        InferenceEngine engine = server.Server.Engine!;
        string input = JsonSerializer.Serialize(Enumerable.Range(0, 60).Select(i => $"What is {i} plus {i}?"));
        Task<JsonElement> embeddings = server.JsonAsync("/v1/embeddings", $"{{\"input\":{input}}}");
        await TestServer.UntilAsync(() => engine.GetStatus().TotalRequests > 0, Long);
        GenerationOptions endless = new() { IgnoreEndOfSequence = true, MaxNewTokens = 1000 };
        List<InferenceRequest> others = [];
        int refused = 0;
        // Others take the room as it becomes free, until it is the embeddings that are refused.
        while (engine.GetStatus().TotalRejected == refused)
        {
            Assert.False(embeddings.IsCompleted);
            try
            {
                others.Add(await engine.SubmitAsync(Prompt.FromText("Hello"), endless, cancellationToken: TestContext.Current.CancellationToken));
            }
            catch (EngineOverloadedException)
            {
                refused++;
                await Task.Delay(1, TestContext.Current.CancellationToken);
            }
        }

        others.ForEach(other => other.Cancel());
        Assert.Equal(60, (await embeddings).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Request_ThatWaitsTooLong_IsRefusedWith503AndRetryAfter()
    {
        await using TestServer server = await TestServer.StartSlowAsync(1, 4, options => options.EngineOptions = options.EngineOptions with { QueueTimeout = TimeSpan.FromMilliseconds(50) });
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] busy = await FillAsync(server, 1, stop.Token);
        (int status, JsonElement error, _) = await server.ErrorAsync(Path, TestServer.Chat());
        Assert.Equal((503, "queue_timeout"), (status, error.GetProperty("code").GetString()));
        await EndAsync(server, stop, busy);
    }

    [Fact]
    public async Task TimeLimit_DuringTheAnswer_EndsItAndBeforeItIsAnError()
    {
        await using TestServer server = await TestServer.StartSlowAsync(slots: 1, queue: 4);
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] busy = await FillAsync(server, 1, stop.Token);
        (int status, JsonElement error, _) = await server.ErrorAsync(Path, TestServer.Chat("\"time_limit\":0.05"));
        Assert.Equal((503, "time_limit"), (status, error.GetProperty("code").GetString()));
        await EndAsync(server, stop, busy);

        await using TestServer limited = await TestServer.StartSlowAsync(1, 4, options => options.TimeLimit = TimeSpan.FromMilliseconds(300));
        using HttpResponseMessage response = await limited.ChatAsync(TestServer.Long("\"time_limit\":1000"), TestContext.Current.CancellationToken);
        JsonElement body = TestServer.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        // A machine so busy that the prompt alone takes longer says so; one that is not gives what there is, and far from all of it.
        if (response.IsSuccessStatusCode)
        {
            Assert.Equal("length", body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
            Assert.InRange(body.GetProperty("usage").GetProperty("total_tokens").GetInt32(), 1, 500);
        }
        else
        {
            Assert.Equal("time_limit", body.GetProperty("error").GetProperty("code").GetString());
        }
    }

    [Fact]
    public async Task Answers_MoreThanThereIsEverRoomFor_AreRefusedAsWrongNotAsBusy()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.EngineOptions = new EngineOptions { MaxConcurrentRequests = 1, MaxQueuedRequests = 2 });
        JsonElement three = await server.JsonAsync(Path, TestServer.Chat("\"n\":3"));
        Assert.Equal(3, three.GetProperty("choices").GetArrayLength());
        (int status, JsonElement error, _) = await server.ErrorAsync(Path, TestServer.Chat("\"n\":4"));
        Assert.Equal((400, "n"), (status, error.GetProperty("param").GetString()));
    }

    [Fact]
    public async Task Load_AfterARush_IsNothing()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.EngineOptions = new EngineOptions { MaxQueuedRequests = 4 });
        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, 60).Select(i =>
            i % 3 == 0 ? server.PostAsync("/v1/embeddings", "{\"input\":\"a\"}") : server.ChatAsync(TestServer.Chat(i % 3 == 1 ? "\"stream\":true" : "\"n\":2"))));
        Assert.All(responses, response => Assert.Contains((int)response.StatusCode, new[] { 200, 429 }));
        Assert.Contains(responses, response => response.IsSuccessStatusCode);
        await AssertIdleAsync(server);
    }

    /// <summary>Nothing is being worked on, waits or is held.</summary>
    internal static async Task AssertIdleAsync(TestServer server)
    {
        await TestServer.UntilAsync(
            () => server.Server.Engine!.GetStatus() is { ActiveRequests: 0, QueuedRequests: 0, KeyValueBytesActive: 0, IsHealthy: true }, Long);
        string metrics = await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        await TestServer.UntilAsync(
            () =>
            {
                metrics = server.Http.GetStringAsync("/metrics").GetAwaiter().GetResult();
                return metrics.Contains("\nvicuna_requests_in_progress 0\n", StringComparison.Ordinal);
            },
            Long);
        Assert.Contains("\nvicuna_active_requests 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\nvicuna_queued_requests 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\nvicuna_kv_active_bytes 0\n", metrics, StringComparison.Ordinal);
    }

    // Requests that go on to the end of the context, accepted one after another.
    private static async Task<Task<HttpResponseMessage>[]> FillAsync(TestServer server, int requests, CancellationToken cancellationToken)
    {
        List<Task<HttpResponseMessage>> busy = [];
        for (int i = 1; i <= requests; i++)
        {
            busy.Add(server.ChatAsync(TestServer.Long(), cancellationToken));
            await TestServer.UntilAsync(() => server.Server.Engine!.GetStatus() is { } status && status.ActiveRequests + status.QueuedRequests == i, Long);
        }

        return [.. busy];
    }

    private static async Task EndAsync(TestServer server, CancellationTokenSource stop, Task<HttpResponseMessage>[] busy)
    {
        await stop.CancelAsync();
        await ((Task)Task.WhenAll(busy)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        await AssertIdleAsync(server);
    }
}
