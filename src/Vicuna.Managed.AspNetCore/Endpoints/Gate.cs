using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Metrics;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>
/// What every request goes through: keys, the server's state, the method; and what every response has: an error in OpenAI's form for whatever went wrong, a
/// number in the metrics, a line in the log.
/// </summary>
internal sealed partial class Gate(ModelHost host, ServerMetrics metrics, ILogger<Gate> logger)
{
    // The status that proxies log for a client that did not wait; nobody is there to see it.
    private const int ClientGone = 499;

    // What the connection gets to send an error before it is aborted.
    private static readonly TimeSpan BeforeAbort = TimeSpan.FromMilliseconds(100);

    private readonly ILogger _logger = logger;

    /// <summary>Makes the handler of a route.</summary>
    public RequestDelegate Handle(ServerRoute route)
    {
        bool isPublic = host.Options.PublicPaths.Contains(route.Pattern);
        return http => HandleAsync(http, route, isPublic);
    }

    private async Task HandleAsync(HttpContext http, ServerRoute route, bool isPublic)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, host.Abort);
        Exchange exchange = new(http, route, host, metrics, stop.Token);
        bool counts = !route.AnswersAlways && !route.AnswersWhileDraining;
        if (counts)
        {
            // Before the state is looked at: stopping sees the request, or the request sees the stopping.
            host.Enter();
        }

        try
        {
            http.Response.Headers["X-Request-Id"] = exchange.Id;
            http.Response.Headers.XContentTypeOptions = "nosniff";
            await AnswerAsync(exchange, isPublic).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            await EndAsync(exchange, exception).ConfigureAwait(false);
        }
        finally
        {
            if (counts)
            {
                host.Leave();
            }

            int status = exchange.Problem == "client_gone" ? ClientGone : http.Response.StatusCode;
            metrics.Count(exchange, status);
            // Probes come every few seconds.
            Log(counts ? LogLevel.Information : LogLevel.Debug, exchange, status);
        }
    }

    private async Task AnswerAsync(Exchange exchange, bool isPublic)
    {
        HttpRequest request = exchange.Http.Request;
        ServerRoute route = exchange.Route;
        if (HttpMethods.IsOptions(request.Method) && route.Methods.Count > 0)
        {
            // Asked without a key, by browsers above all. Whether other origins may call is the application's decision, by a policy of its own.
            exchange.Http.Response.StatusCode = StatusCodes.Status204NoContent;
            exchange.Http.Response.Headers.Allow = string.Join(", ", route.Methods.Append("OPTIONS"));
            return;
        }

        ApiError? refusal = !isPublic && !host.Keys.Allow(request) ? Errors.Unauthorized() : RefusalOfState(route);
        if (refusal is null && route.Methods.Count == 0)
        {
            refusal = Errors.UnknownPath(request.Method, request.Path.Value ?? string.Empty);
        }
        else if (refusal is null && !route.Methods.Contains(request.Method, StringComparer.OrdinalIgnoreCase))
        {
            exchange.Http.Response.Headers.Allow = string.Join(", ", route.Methods.Append("OPTIONS"));
            refusal = Errors.WrongMethod(request.Method, route.Methods);
        }

        if (refusal is null && route.Operation is not null && host.Served is { } served && served.Engine.GetStatus() is { } status && served.IsFull(status))
        {
            // The engine would say the same; but that would be after the body has taken memory and time that others need.
            metrics.CountRefused();
            refusal = Errors.Full(status, served.Engine.Options);
        }

        if (refusal is not null)
        {
            throw new ApiException(refusal);
        }

        await route.Handler(exchange).ConfigureAwait(false);
    }

    private ApiError? RefusalOfState(ServerRoute route) => route.AnswersAlways ? null : host.State switch
    {
        ServerState.Loading => Errors.Loading(),
        ServerState.Failed => Errors.LoadFailed(host.FailureKind),
        ServerState.Ready when route.Operation is not null && !host.Served!.Engine.GetStatus().IsHealthy => Errors.Unhealthy(),
        ServerState.Draining when !route.AnswersWhileDraining || host.Served is null => Errors.Draining(),
        _ => null,
    };

    // Tells the client as far as it can still be told.
    private async Task EndAsync(Exchange exchange, Exception exception)
    {
        HttpContext http = exchange.Http;
        if (http.RequestAborted.IsCancellationRequested)
        {
            exchange.Problem = "client_gone";
            return;
        }

        ApiError? error = Errors.Find(exception, exchange.Route.PromptField);
        bool isEnding = host.State == ServerState.Draining || host.Abort.IsCancellationRequested;
        if (error is null && isEnding && exception is OperationCanceledException or ObjectDisposedException)
        {
            error = Errors.Draining();
        }

        if (error is null)
        {
            LogFailure(exchange.Id, exception.GetType().Name, Text.Printable(exception.Message), exception);
            error = Errors.Internal();
        }

        exchange.Problem = error.Code;
        try
        {
            if (!http.Response.HasStarted)
            {
                // A stream that had not been sent yet is no stream.
                http.Response.Headers.Remove("X-Accel-Buffering");
                await JsonResponse.WriteErrorAsync(http.Response, error, http.RequestAborted).ConfigureAwait(false);
                return;
            }

            if (exchange.Events is { } events)
            {
                await events.SendErrorAsync(error).ConfigureAwait(false);
                await Task.Delay(BeforeAbort, http.RequestAborted).ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The client has gone meanwhile; it is not told.
        }

        if (http.Response.HasStarted)
        {
            http.Abort();
        }
    }

    private void Log(LogLevel level, Exchange exchange, int status)
    {
        if (_logger.IsEnabled(level))
        {
            HttpRequest request = exchange.Http.Request;
            string path = Text.Printable(request.PathBase + request.Path);
            string problem = exchange.Problem is null ? string.Empty : $" ({exchange.Problem})";
            string method = Text.Printable(request.Method, 16);
            LogRequest(
                level, method, path, status, exchange.Elapsed.TotalMilliseconds, exchange.PromptTokens, exchange.NewTokens, exchange.Id, problem);
        }
    }

    [LoggerMessage(EventId = 10, Message = "{Method} {Path} {Status} in {Milliseconds:0.0} ms, {PromptTokens} + {NewTokens} tokens, {Id}{Problem}")]
    private partial void LogRequest(
        LogLevel level, string method, string path, int status, double milliseconds, int promptTokens, int newTokens, string id, string problem);

    [LoggerMessage(11, LogLevel.Error, "Request {Id} failed: {Kind}: {Problem}")]
    private partial void LogFailure(string id, string kind, string problem, Exception exception);
}
