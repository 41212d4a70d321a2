using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>
/// <c>GET /health</c>, <c>/health/ready</c> and <c>/health/live</c>. Bodies are llama.cpp's, whose error has its status as a number
/// (tools/server/README.md, "GET /health").
/// </summary>
internal static class HealthEndpoint
{
    // A pass over a long prompt with a large model takes a while; one that takes this long never ends.
    private static readonly TimeSpan LongestPass = TimeSpan.FromMinutes(5);

    /// <summary>Whether there is a model that works: what load balancers of llama.cpp ask.</summary>
    public static Task HealthAsync(Exchange exchange) => WriteAsync(exchange, ProblemOf(exchange, exchange.Host.Served?.Engine.GetStatus()));

    /// <summary>Whether another request would be taken now.</summary>
    public static Task ReadyAsync(Exchange exchange)
    {
        EngineStatus? status = exchange.Host.Served?.Engine.GetStatus();
        ApiError? problem = ProblemOf(exchange, status);
        if (problem is null && status is not null && exchange.Host.Served is { } served)
        {
            problem = served.IsFull(status) ? Errors.Busy() : null;
        }

        return WriteAsync(exchange, problem);
    }

    /// <summary>Whether the process should live on: it answers, and the engine, where there is one, has given a sign of life.</summary>
    public static Task LiveAsync(Exchange exchange)
    {
        EngineStatus? status = exchange.Host.State == ServerState.Ready ? exchange.Host.Served?.Engine.GetStatus() : null;
        return WriteAsync(exchange, status is not null && (!status.IsHealthy || status.LastPass > LongestPass) ? Errors.Unhealthy() : null);
    }

    private static ApiError? ProblemOf(Exchange exchange, EngineStatus? status) => exchange.Host.State switch
    {
        ServerState.Loading => Errors.Loading(),
        ServerState.Failed => Errors.LoadFailed(exchange.Host.FailureKind),
        ServerState.Draining => Errors.Draining(),
        _ => status is { IsHealthy: false } ? Errors.Unhealthy() : null,
    };

    private static Task WriteAsync(Exchange exchange, ApiError? problem)
    {
        HttpResponse response = exchange.Http.Response;
        response.Headers.CacheControl = "no-store";
        if (problem is null)
        {
            return JsonResponse.WriteAsync(response, StatusCodes.Status200OK, json => json.WriteString("status", "ok"), exchange.Stop);
        }

        exchange.Problem = problem.Code;
        response.Headers.RetryAfter = problem.RetryAfterHeader;
        return JsonResponse.WriteAsync(
            response,
            problem.Status,
            json =>
            {
                json.WriteStartObject("error");
                json.WriteNumber("code", problem.Status);
                json.WriteString("message", problem.Message);
                json.WriteString("type", problem.Type);
                json.WriteEndObject();
            },
            exchange.Stop);
    }
}
