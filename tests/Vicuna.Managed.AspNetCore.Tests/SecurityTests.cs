using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Tests.Support;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>Strangers: keys, hostile requests, and what they learn.</summary>
public sealed class SecurityTests(PicoServer pico)
{
    private const string Path = "/v1/chat/completions";
    private const string Key = "the-key-of-this-test-1234";

    public static TheoryData<string, string> Doors => new()
    {
        { "POST", "/v1/chat/completions" },
        { "POST", "/v1/completions" },
        { "POST", "/v1/embeddings" },
        { "GET", "/v1/models" },
        { "GET", "/v1/models/pico-vicuna" },
        { "GET", "/v1/nothing" },
        { "DELETE", "/v1/chat/completions" },
        { "GET", "/metrics" },
        { "HEAD", "/v1/models" },
    };

    [Theory]
    [MemberData(nameof(Doors))]
    public async Task Key_IsNeededEverywhereButForHealth(string method, string path)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.ApiKeys.Add(Key));
        foreach (string? header in new[] { null, "Bearer ", "Bearer wrong", $"Basic {Key}", Key, $"Bearer {Key}x", $"Bearer {Key[..^1]}" })
        {
            HttpRequestMessage request = new(new HttpMethod(method), path);
            if (header is not null)
            {
                request.Headers.TryAddWithoutValidation("Authorization", header);
            }

            using HttpResponseMessage response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(401, (int)response.StatusCode);
            Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
            if (method != "HEAD")
            {
                (_, JsonElement error, _) = await TestServer.ErrorOf(response);
                Assert.Equal(("authentication_error", "invalid_api_key"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
                Assert.DoesNotContain("wrong", error.GetRawText(), StringComparison.Ordinal);
            }
        }

        foreach (string open in new[] { "/health", "/health/live", "/health/ready" })
        {
            Assert.True((await server.Http.GetAsync(open, TestContext.Current.CancellationToken)).IsSuccessStatusCode);
        }

        using HttpResponseMessage asked = await server.Http.SendAsync(new HttpRequestMessage(HttpMethod.Options, path), TestContext.Current.CancellationToken);
        Assert.Equal(path == "/v1/nothing" ? 401 : 204, (int)asked.StatusCode);
        Assert.DoesNotContain(asked.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("Authorization", "Bearer " + Key)]
    [InlineData("Authorization", "bearer  " + Key)]
    [InlineData("X-Api-Key", Key)]
    [InlineData("X-Api-Key", "second-key")]
    [InlineData("X-Api-Key", "third-key-of-the-file")]
    public async Task Key_ByEitherHeaderOfOptionsOrFile_LetsIn(string header, string value)
    {
        using TempFolder folder = new();
        string file = System.IO.Path.Combine(folder.Path, "keys");
        await File.WriteAllTextAsync(file, "# keys\n\n  third-key-of-the-file  \n", TestContext.Current.CancellationToken);
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.ApiKeys.Add(Key);
            options.ApiKeys.Add("second-key");
            options.ApiKeyFile = file;
        });
        HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation(header, value);
        Assert.True((await server.Http.SendAsync(request, TestContext.Current.CancellationToken)).IsSuccessStatusCode);
        string log = string.Join('\n', server.Log);
        Assert.Contains("one of 3 keys", log, StringComparison.Ordinal);
        Assert.Contains("...1234", log, StringComparison.Ordinal);
        Assert.DoesNotContain("the-key", log, StringComparison.Ordinal);
        Assert.DoesNotContain("second", log, StringComparison.Ordinal);
        Assert.DoesNotContain("third", log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:5000", false)]
    [InlineData("http://localhost:5000", false)]
    [InlineData("http://[::1]:5000", false)]
    [InlineData("http://unix:/run/vicuna.sock", false)]
    [InlineData("http://0.0.0.0:5000", true)]
    [InlineData("http://[::]:5000", true)]
    [InlineData("https://*:5001", true)]
    [InlineData("http://192.168.1.2:5000", true)]
    [InlineData("http://example.org:5000", true)]
    public async Task Address_ThatOthersReachWithoutAKey_IsWarnedOf(string address, bool isOpen)
    {
        foreach (bool hasKey in new[] { false, true })
        {
            VicunaServerOptions options = new() { ModelPath = TestServer.PicoFolder };
            if (hasKey)
            {
                options.ApiKeys.Add(Key);
            }

            using LinesLogger log = new();
            using ILoggerFactory loggers = LoggerFactory.Create(builder => builder.AddProvider(log));
            using ListeningServer server = new("http://127.0.0.1:1", address);
            await using ModelHost host = new(Options.Create(options), loggers.CreateLogger<ModelHost>(), server: server);
            await host.StartedAsync(TestContext.Current.CancellationToken);
            Assert.Equal(isOpen && !hasKey, log.Lines.Any(line => line.StartsWith("Warning: There are no API keys", StringComparison.Ordinal) && line.Contains(address, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task KeyFile_WithoutAKey_StopsTheStart()
    {
        using TempFolder folder = new();
        string file = System.IO.Path.Combine(folder.Path, "keys");
        await File.WriteAllTextAsync(file, "# none\n", TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(options => options.ApiKeyFile = file));
        await Assert.ThrowsAnyAsync<IOException>(() => TestServer.StartAsync(options => options.ApiKeyFile = file + "-that-is-not-there"));
    }

    [Fact]
    public async Task Log_OfHostileRequests_StaysOneLineEach()
    {
        await using TestServer server = await TestServer.StartAsync();
        foreach (string path in new[] { "/v1/a%0AError:%20forged", "/v1/a%0D%0Ab", "/v1/models/x%1B[2Jy", "/v1/%E2%80%AEabc", "/v1/" + new string('a', 5000) })
        {
            using HttpResponseMessage response = await server.Http.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.Equal(404, (int)response.StatusCode);
        }

        await server.ErrorAsync(Path, "{\"model\":\"a\\nError: forged\\u001b[2J\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}");
        await TestServer.UntilAsync(
            () => server.Log.Count(line => line.Contains(" 404 in ", StringComparison.Ordinal) && line.Contains(" tokens, ", StringComparison.Ordinal)) == 6,
            TimeSpan.FromMinutes(1));
        // ASP.NET Core has lines of its own for every request, which an application may switch off, as vicuna serve does.
        string[] own = [.. server.Log.Where(line => line.Contains(" tokens, ", StringComparison.Ordinal))];
        Assert.All(own, line => Assert.DoesNotContain(line, char.IsControl));
        Assert.All(own, line => Assert.DoesNotContain('\u202E', line));
        Assert.All(own, line => Assert.True(line.Length < 500));
        Assert.DoesNotContain(server.Log, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Content_OfRequestsAndAnswers_IsNotLogged()
    {
        await using TestServer server = await TestServer.StartAsync();
        await server.JsonAsync(Path, TestServer.Chat(question: "My secret number is 12345."));
        string log = string.Join('\n', server.Log);
        Assert.Contains("POST /v1/chat/completions 200", log, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("headers")]
    [InlineData("header")]
    [InlineData("line")]
    public async Task Headers_TooManyOrTooLong_AreRefusedAndTheServerLives(string what)
    {
        string head = what switch
        {
            "headers" => $"GET /v1/models HTTP/1.1\r\nHost: a\r\n{string.Concat(Enumerable.Range(0, 5000).Select(i => $"X-{i}: a\r\n"))}\r\n",
            "header" => $"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Long: {new string('a', 100_000)}\r\n\r\n",
            _ => $"GET /v1/{new string('a', 100_000)} HTTP/1.1\r\nHost: a\r\n\r\n",
        };
        string answer = await RawAsync(head);
        Assert.StartsWith(what == "line" ? "HTTP/1.1 414" : "HTTP/1.1 431", answer, StringComparison.Ordinal);
        Assert.True((await pico.Server.Http.GetAsync("/health", TestContext.Current.CancellationToken)).IsSuccessStatusCode);
    }

    [Theory]
    [InlineData("NONSENSE\r\n\r\n", "400")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n", "400")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400")]
    [InlineData("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n", "413")]
    public async Task Http_ThatIsBroken_IsRefused(string request, string status) =>
        Assert.StartsWith($"HTTP/1.1 {status}", await RawAsync(request), StringComparison.Ordinal);

    [Fact]
    public async Task Response_NamesNoSoftwareAndIsNotGuessedAt()
    {
        using HttpResponseMessage response = await pico.Server.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.NotEmpty(response.Headers.GetValues("X-Request-Id").Single());
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    private async Task<string> RawAsync(string request)
    {
        using Socket socket = await DisconnectTests.ConnectAsync(pico.Server);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        stop.CancelAfter(TimeSpan.FromMinutes(1));
        try
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(request), stop.Token);
        }
        catch (SocketException)
        {
            // Refused before it was all sent; the answer may be there all the same.
        }

        byte[] buffer = new byte[4096];
        int read = await socket.ReceiveAsync(buffer, stop.Token);
        return Encoding.ASCII.GetString(buffer, 0, read);
    }

    private sealed class ListeningServer : IServer, IServerAddressesFeature
    {
        public ListeningServer(params string[] addresses)
        {
            Addresses = addresses;
            Features.Set<IServerAddressesFeature>(this);
        }

        public IFeatureCollection Features { get; } = new FeatureCollection();

        public ICollection<string> Addresses { get; }

        public bool PreferHostingUrls { get; set; }

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
