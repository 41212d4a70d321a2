using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Metrics;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>A request and what is known of its answer.</summary>
internal sealed class Exchange(HttpContext http, ServerRoute route, ModelHost host, ServerMetrics metrics, CancellationToken stop)
{
    private readonly long _start = Stopwatch.GetTimestamp();

    /// <summary>The request and the response.</summary>
    public HttpContext Http { get; } = http;

    /// <summary>The route.</summary>
    public ServerRoute Route { get; } = route;

    /// <summary>The server.</summary>
    public ModelHost Host { get; } = host;

    /// <summary>What is counted.</summary>
    public ServerMetrics Metrics { get; } = metrics;

    /// <summary>The options.</summary>
    public VicunaServerOptions Options => Host.Options;

    /// <summary>The model; there is one wherever the route needs it.</summary>
    public ServedModel Served => Host.Served!;

    /// <summary>Cancelled when the client has gone, or the server can wait no longer.</summary>
    public CancellationToken Stop { get; } = stop;

    /// <summary>A name for the request that no other has.</summary>
    public string Id { get; } = Guid.NewGuid().ToString("N");

    /// <summary>When the request came, in seconds since 1970.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Time since the request came.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_start);

    /// <summary>The response as a stream of events, once it has begun to be one.</summary>
    public EventStream? Events { get; private set; }

    /// <summary>When the first token was known, since the request came; null before.</summary>
    public TimeSpan? FirstToken { get; set; }

    /// <summary>Tokens of the prompts.</summary>
    public int PromptTokens { get; set; }

    /// <summary>Tokens that were generated.</summary>
    public int NewTokens { get; set; }

    /// <summary>What the request ended with, where it did not end well: a code of an error.</summary>
    public string? Problem { get; set; }

    /// <summary>Reads the body.</summary>
    /// <exception cref="ApiException">It is too long, or no JSON.</exception>
    public Task<System.Text.Json.JsonDocument> ReadBodyAsync() => RequestBody.ReadAsync(Http.Request, Options.MaxRequestBodyBytes, Stop);

    /// <summary>The response as a stream of events: once something of it has been sent, there is no status to be given.</summary>
    public EventStream BeginEvents() => Events ??= new EventStream(Http.Response, Stop);

    /// <summary>How to treat what the engine is asked now: of the request's time there is what has not passed since it came.</summary>
    /// <exception cref="TimeoutException">There is none left.</exception>
    public RequestOptions WithTimeLeft(RequestOptions treatment)
    {
        if (treatment.TimeLimit is not { } limit)
        {
            return treatment;
        }

        TimeSpan left = limit - Elapsed;
        return left > TimeSpan.Zero
            ? treatment with { TimeLimit = left }
            : throw new TimeoutException($"The request's {limit.TotalSeconds} s are over.");
    }

    /// <summary>Waits for a task; where that takes long, the stream is begun if it has not been, and kept alive.</summary>
    /// <param name="task">The task. It is not stopped where the client turns out to have gone: the caller sees to that.</param>
    public async Task KeepAliveAsync(Task task)
    {
        while (!task.IsCompleted)
        {
            // The task's own errors are for whoever awaits it.
            await task.WaitAsync(Options.PingInterval).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!task.IsCompleted)
            {
                await BeginEvents().PingAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Notes that the first token is known.</summary>
    public void NoteFirstToken() => FirstToken ??= Elapsed;
}
