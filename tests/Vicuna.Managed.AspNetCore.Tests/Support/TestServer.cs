using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenAI;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests.Support;

/// <summary>A real server on a free port of this machine.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    public const string ModelId = "pico-vicuna";
    public const string Question = "What is 3 plus 4?";
    public const string Answer = "Three plus four is seven.";

    private readonly WebApplication _app;
    private bool _stopped;

    private TestServer(WebApplication app, LinesLogger log)
    {
        _app = app;
        Log = log.Lines;
        Url = new Uri(app.Urls.Single());
        Http = new HttpClient { BaseAddress = Url, Timeout = TimeSpan.FromMinutes(1) };
    }

    public static string PicoFolder => RepositoryFolder.Find("samples/models/pico-vicuna");

    public Uri Url { get; }

    public HttpClient Http { get; }

    public ConcurrentQueue<string> Log { get; }

    public VicunaServer Server => _app.Services.GetRequiredService<VicunaServer>();

    public T Service<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>Starts a server for pico-vicuna and waits for the model.</summary>
    public static async Task<TestServer> StartAsync(Action<VicunaServerOptions>? configure = null, Action<WebApplication>? map = null)
    {
        TestServer server = await StartUnreadyAsync(
            options =>
            {
                options.ModelPath = PicoFolder;
                options.LoadOptions = new LoadOptions { Threads = 1 };
                configure?.Invoke(options);
            },
            map);
        await server.Server.WaitUntilReadyAsync();
        return server;
    }

    /// <summary>Starts a server whose answers take about a second: one thread without vector instructions, and no early end.</summary>
    public static Task<TestServer> StartSlowAsync(int slots, int queue, Action<VicunaServerOptions>? configure = null) => StartAsync(options =>
    {
        options.LoadOptions = new LoadOptions { Threads = 1, InstructionSet = InstructionSet.Scalar };
        options.EngineOptions = new EngineOptions { MaxConcurrentRequests = slots, MaxQueuedRequests = queue };
        configure?.Invoke(options);
    });

    /// <summary>Starts a server and does not wait for the model.</summary>
    public static async Task<TestServer> StartUnreadyAsync(Action<VicunaServerOptions> configure, Action<WebApplication>? map = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        LinesLogger log = new();
        builder.Logging.AddProvider(log);
        builder.Services.AddVicuna(configure);
        WebApplication app = builder.Build();
        map?.Invoke(app);
        if (map is null)
        {
            app.MapVicuna();
        }

        app.Urls.Add("http://127.0.0.1:0");
        await app.StartAsync();
        return new TestServer(app, log);
    }

    /// <summary>A body of a chat that asks the model one question, greedily, with further members.</summary>
    public static string Chat(string more = "", string question = Question) =>
        $$"""{"messages":[{"role":"user","content":{{JsonSerializer.Serialize(question)}}}],"temperature":0{{(more.Length > 0 ? "," : string.Empty)}}{{more}}}""";

    /// <summary>A body of a chat whose answer goes on to the end of the context.</summary>
    public static string Long(string more = "") => Chat($"\"logit_bias\":{{\"2\":-100}}{(more.Length > 0 ? "," : string.Empty)}{more}");

    public OpenAIClient Client(string key = "none") =>
        new(new System.ClientModel.ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(Url, "/v1") });

    public Task<HttpResponseMessage> PostAsync(string path, string body, CancellationToken cancellationToken = default) =>
        Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), cancellationToken);

    public Task<HttpResponseMessage> ChatAsync(string body, CancellationToken cancellationToken = default) => PostAsync("/v1/chat/completions", body, cancellationToken);

    /// <summary>Posts and expects success.</summary>
    public async Task<JsonElement> JsonAsync(string path, string body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        return Parse(text);
    }

    /// <summary>Posts a streamed request, expects success, and gives the data of its events.</summary>
    public async Task<List<string>> EventsAsync(string path, string body)
    {
        using HttpResponseMessage response = await PostAsync(path, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        return EventsOf(text);
    }

    public static List<string> EventsOf(string text) =>
        [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(part => !part.StartsWith(':')).Select(part =>
        {
            Assert.StartsWith("data: ", part, StringComparison.Ordinal);
            return part["data: ".Length..];
        })];

    public static JsonElement Parse(string text) => JsonDocument.Parse(text).RootElement;

    public async Task<(int Status, JsonElement Body, HttpResponseMessage Response)> SendAsync(HttpRequestMessage request)
    {
        HttpResponseMessage response = await Http.SendAsync(request);
        return ((int)response.StatusCode, Parse(await response.Content.ReadAsStringAsync()), response);
    }

    /// <summary>A request that fails: its status and its error, whose form is checked.</summary>
    public async Task<(int Status, JsonElement Error, HttpResponseMessage Response)> ErrorAsync(HttpRequestMessage request) => await ErrorOf(await Http.SendAsync(request));

    public Task<(int Status, JsonElement Error, HttpResponseMessage Response)> ErrorAsync(string path, string body) => ErrorAsync(Request(path, body));

    public static async Task<(int Status, JsonElement Error, HttpResponseMessage Response)> ErrorOf(HttpResponseMessage response)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.False(response.IsSuccessStatusCode, text);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        JsonElement error = Parse(text).GetProperty("error");
        Assert.NotEqual(string.Empty, error.GetProperty("message").GetString());
        Assert.NotEqual(string.Empty, error.GetProperty("type").GetString());
        Assert.Equal(JsonValueKind.String, error.GetProperty("code").ValueKind);
        Assert.Contains(error.GetProperty("param").ValueKind, new[] { JsonValueKind.String, JsonValueKind.Null });
        Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
        if (response.StatusCode is System.Net.HttpStatusCode.ServiceUnavailable or System.Net.HttpStatusCode.TooManyRequests)
        {
            Assert.True(response.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        }

        return ((int)response.StatusCode, error, response);
    }

    public static HttpRequestMessage Request(string path, string body) =>
        new(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };

    /// <summary>Waits until something holds.</summary>
    public static async Task UntilAsync(Func<bool> holds, TimeSpan limit)
    {
        using CancellationTokenSource stop = new(limit);
        while (!holds())
        {
            Assert.False(stop.IsCancellationRequested, $"It did not come to hold within {limit.TotalSeconds} s.");
            await Task.Delay(10);
        }
    }

    public async Task StopAsync()
    {
        _stopped = true;
        await _app.StopAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!_stopped)
        {
            await _app.StopAsync();
        }

        await _app.DisposeAsync();
    }
}
