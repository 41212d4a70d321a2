using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Vicuna.Managed.Samples.Tests.Server;

/// <summary>
/// Stands before the sample server and holds answers in their middle, so that a test has all the time it needs to look at one that is being made. Can also
/// break them, as bad connections do.
/// </summary>
internal sealed class HoldingProxy : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _client;
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // True: held answers go on. False: they break.
    private TaskCompletionSource<bool> _held = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private HoldingProxy(WebApplication app, Uri server)
    {
        _app = app;
        _client = new HttpClient { BaseAddress = server };
    }

    /// <summary>Where it listens.</summary>
    public Uri Url => new(_app.Urls.First());

    /// <summary>Events of an answer after which it is held, the first of which has no text.</summary>
    public int HoldAfter { get; set; } = 4;

    /// <summary>Ends when a client has left an answer before its end.</summary>
    public Task ClientLeft => _left.Task;

    /// <summary>Lets held answers go on, and holds no others.</summary>
    public void GoOn() => _held.TrySetResult(true);

    /// <summary>Breaks the connections of held answers.</summary>
    public void Break() => Interlocked.Exchange(ref _held, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult(false);

    /// <summary>Starts it.</summary>
    public static async Task<HoldingProxy> StartAsync(Uri server)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        HoldingProxy proxy = new(app, server);
        app.Run(proxy.ForwardAsync);
        await app.StartAsync();
        return proxy;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _client.Dispose();
    }

    private async Task ForwardAsync(HttpContext http)
    {
        using HttpRequestMessage request = new(new HttpMethod(http.Request.Method), new Uri(http.Request.Path, UriKind.Relative));
        if (HttpMethods.IsPost(http.Request.Method))
        {
            request.Content = new StreamContent(http.Request.Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", http.Request.ContentType);
        }

        try
        {
            using HttpResponseMessage response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, http.RequestAborted);
            http.Response.StatusCode = (int)response.StatusCode;
            foreach ((string name, IEnumerable<string> values) in response.Headers.Concat(response.Content.Headers))
            {
                if (name is not ("Transfer-Encoding" or "Connection"))
                {
                    http.Response.Headers[name] = values.ToArray();
                }
            }

            using Stream body = await response.Content.ReadAsStreamAsync(http.RequestAborted);
            if (response.Content.Headers.ContentType?.MediaType == "text/event-stream" && response.StatusCode == HttpStatusCode.OK)
            {
                await RelayAsync(http, body);
            }
            else
            {
                await body.CopyToAsync(http.Response.Body, http.RequestAborted);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && http.RequestAborted.IsCancellationRequested)
        {
            _left.TrySetResult();
        }
    }

    private async Task RelayAsync(HttpContext http, Stream body)
    {
        using StreamReader reader = new(body);
        int events = 0;
        while (await reader.ReadLineAsync(http.RequestAborted) is { } line)
        {
            await http.Response.WriteAsync(line + "\n", http.RequestAborted);
            if (line.Length == 0)
            {
                await http.Response.Body.FlushAsync(http.RequestAborted);
                if (++events == HoldAfter && !await _held.Task.WaitAsync(http.RequestAborted))
                {
                    http.Abort();
                    return;
                }
            }
        }
    }
}
