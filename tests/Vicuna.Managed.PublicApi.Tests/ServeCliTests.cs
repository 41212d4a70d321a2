using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The server of the tool, as a process of its own.</summary>
public sealed class ServeCliTests
{
    private const string Key = "a-key-of-this-test-5678";
    private const string Question = """{"messages":[{"role":"user","content":"What is 3 plus 4?"}],"temperature":0}""";
    private const string Endless = """{"messages":[{"role":"user","content":"What is 3 plus 4?"}],"temperature":0,"logit_bias":{"2":-100}}""";

    [Fact]
    public async Task Serve_SaysWhereAnswersAndEndsWellOnSigterm()
    {
        await using Served served = await Served.StartAsync(["serve", "--urls", "http://127.0.0.1:0", "--threads", "1"]);
        Assert.Matches(@"^pico-vicuna is served at http://127\.0\.0\.1:\d+$", served.Line);
        Assert.Contains("Three plus four is seven.", await served.ChatAsync(Question), StringComparison.Ordinal);
        Assert.Contains("\"id\":\"pico-vicuna\"", await served.Http.GetStringAsync("/v1/models", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        using HttpResponseMessage elsewhere = await served.Http.GetAsync("/chat/completions", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);
        Assert.Contains("under /v1", await elsewhere.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        (int code, string error) = await served.SignalAsync(Served.Terminate);
        Assert.Equal(0, code);
        Assert.Contains("Model pico-vicuna loaded", error, StringComparison.Ordinal);
        Assert.Contains("POST /v1/chat/completions 200", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_WithoutAKey_TakesNamesOfThisMachineAlone()
    {
        await using Served served = await Served.StartAsync(["serve", "--urls", "http://127.0.0.1:0", "--threads", "1"]);
        foreach ((string host, HttpStatusCode expected) in new[]
        {
            ("localhost", HttpStatusCode.OK), ("LOCALHOST:81", HttpStatusCode.OK), ("127.0.0.1", HttpStatusCode.OK), ("[::1]:5", HttpStatusCode.OK),
            ("example.org", HttpStatusCode.BadRequest), ("localhost.example.org", HttpStatusCode.BadRequest),
        })
        {
            using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
            request.Headers.Host = host;
            using HttpResponseMessage response = await served.Http.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(expected, response.StatusCode);
            if (expected == HttpStatusCode.BadRequest)
            {
                JsonElement body = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
                Assert.Equal("wrong_host", body.GetProperty("error").GetProperty("code").GetString());
            }
        }

        // The server's own refusals stay what they are.
        using HttpResponseMessage wrong = await served.Http.PostAsync(
            "/v1/chat/completions", new StringContent("{", Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Contains("invalid_json", await wrong.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_WithJson_SaysWhereInOneObjectAndEndsWellOnInterrupt()
    {
        await using Served served = await Served.StartAsync(["serve", "--urls", "http://127.0.0.1:0", "--threads", "1", "--model-id", "my-model", "--json"]);
        JsonElement line = JsonDocument.Parse(served.Line).RootElement;
        Assert.Equal("my-model", line.GetProperty("model").GetString());
        Assert.StartsWith("http://127.0.0.1:", line.GetProperty("url").GetString(), StringComparison.Ordinal);
        // Programs that a shell starts in the background ignore it, and so does what they start.
        Assert.SkipWhen(served.IgnoresInterrupt, "Whoever started the tests has SIGINT ignored.");
        (int code, _) = await served.SignalAsync(Served.Interrupt);
        Assert.Equal(0, code);
    }

    [Fact]
    public async Task Serve_ToldToEnd_FinishesWhatItHasAndRefusesWhatComes()
    {
        await using Served served = await Served.StartAsync(["serve", "--urls", "http://127.0.0.1:0", "--threads", "1", "--isa", "scalar"]);
        // Two are under way: an answer, and a request that comes slowly, so that there is time to look.
        using Socket slow = await HalfARequestAsync(served);
        Task<string> underWay = served.ChatAsync(Endless);
        await served.UntilAsync("vicuna_active_requests 1");
        Task<(int Code, string Error)> ending = served.SignalAsync(Served.Terminate);
        await served.UntilAsync("vicuna_draining 1");
        using HttpResponseMessage refused = await served.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        Assert.Contains("\"finish_reason\":\"length\"", await underWay, StringComparison.Ordinal);
        slow.Close();
        Assert.Equal(0, (await ending).Code);
    }

    [Fact]
    public async Task Serve_ToldTwice_EndsAtOnce()
    {
        string[] arguments =
            ["serve", "--urls", "http://127.0.0.1:0", "--threads", "1", "--isa", "scalar", "--slots", "1", "--queue", "60", "--shutdown-timeout", "600"];
        await using Served served = await Served.StartAsync(arguments);
        // A minute's work.
        Task[] underWay = [.. Enumerable.Range(0, 60).Select(_ => served.ChatAsync(Endless))];
        await served.UntilAsync("vicuna_active_requests 1");
        Task<(int Code, string Error)> ending = served.SignalAsync(Served.Terminate);
        await served.UntilAsync("vicuna_draining 1");
        (int code, _) = await served.SignalAsync(Served.Terminate);
        Assert.Equal(143, code);
        await ending;
        await Task.WhenAll(underWay).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        Assert.Contains(underWay, request => request.IsFaulted);
    }

    [Theory]
    [InlineData("option")]
    [InlineData("variable")]
    [InlineData("file")]
    public async Task Key_ByOptionVariableOrFile_IsNeeded(string way)
    {
        using TempFolder folder = new();
        string file = Path.Combine(folder.Path, "keys");
        await File.WriteAllTextAsync(file, $"{Key}\n", TestContext.Current.CancellationToken);
        List<string> arguments = ["serve", "--urls", "http://127.0.0.1:0", "--threads", "1"];
        arguments.AddRange(way switch
        {
            "option" => ["--api-key", Key],
            "file" => ["--api-key-file", file],
            _ => [],
        });
        await using Served served = await Served.StartAsync(arguments, way == "variable" ? new() { ["VICUNA_API_KEY"] = Key } : []);
        Assert.Equal(HttpStatusCode.Unauthorized, (await served.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await served.Http.GetAsync("/health", TestContext.Current.CancellationToken)).StatusCode);
        served.Http.DefaultRequestHeaders.Add("Authorization", $"Bearer {Key}");
        Assert.Equal(HttpStatusCode.OK, (await served.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken)).StatusCode);
        (_, string error) = await served.SignalAsync(Served.Terminate);
        Assert.Contains("one of 1 keys, which end in ...5678", error, StringComparison.Ordinal);
        Assert.DoesNotContain(Key, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Address_ThatIsTaken_IsOneLineAndExitCode1()
    {
        using Socket taken = new(SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        int port = ((IPEndPoint)taken.LocalEndPoint!).Port;
        CheckFailure(1, port.ToString(System.Globalization.CultureInfo.InvariantCulture), "--urls", $"http://127.0.0.1:{port}");
    }

    [Fact]
    public void Model_ThatIsNotThere_IsOneLineAndExitCode1() => CheckFailure(1, "no-such-model", "--urls", "http://127.0.0.1:0", "--model", "no-such-model");

    [Theory]
    [InlineData("--urls", "ftp://127.0.0.1:1")]
    [InlineData("--urls", "https://127.0.0.1:1")]
    [InlineData("--urls", "http://127.0.0.1:99999")]
    [InlineData("--urls", "http://0.0.0.0:0")]
    [InlineData("--urls", "http://*:0")]
    [InlineData("--slots", "0")]
    [InlineData("--queue", "-1")]
    [InlineData("--time-limit", "0")]
    [InlineData("--queue-timeout", "NaN")]
    [InlineData("--shutdown-timeout", "-1")]
    [InlineData("--context", "1")]
    [InlineData("--api-key", "two lines\n")]
    [InlineData("--port", "80")]
    public void Option_ThatIsWrong_IsNamedAndExitCode2(string option, string value)
    {
        Tool.Outcome outcome = Tool.Vicuna("serve", option, value);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(option == "--api-key" ? "API key" : option, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_NamesEveryOption()
    {
        Tool.Outcome outcome = Tool.Vicuna("serve", "--help");
        Assert.Equal(0, outcome.ExitCode);
        foreach (string option in new[] { "--urls", "--slots", "--queue", "--api-key", "--api-key-file", "VICUNA_API_KEY", "--prompt-tools", "--shutdown-timeout", "--model" })
        {
            Assert.Contains(option, outcome.Output, StringComparison.Ordinal);
        }
    }

    private static async Task<Socket> HalfARequestAsync(Served served)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", served.Http.BaseAddress!.Port, TestContext.Current.CancellationToken);
        const string Head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
        await socket.SendAsync(Encoding.ASCII.GetBytes(Head));
        return socket;
    }

    private static void CheckFailure(int code, string named, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(["serve", .. arguments]);
        Assert.Equal(code, outcome.ExitCode);
        Assert.Empty(outcome.Output);
        string line = Assert.Single(outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => line.StartsWith("vicuna: ", StringComparison.Ordinal));
        Assert.Contains(named, line, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }
}
