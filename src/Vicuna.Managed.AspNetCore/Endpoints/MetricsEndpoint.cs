using System.Text;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Metrics;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>GET /metrics</c>.</summary>
internal static class MetricsEndpoint
{
    /// <summary>Writes the metrics as Prometheus reads them.</summary>
    public static async Task HandleAsync(Exchange exchange)
    {
        PrometheusText text = new();
        exchange.Metrics.Write(text, exchange.Host);
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        HttpResponse response = exchange.Http.Response;
        response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(exchange.Http.Request.Method))
        {
            await response.Body.WriteAsync(bytes, exchange.Stop).ConfigureAwait(false);
        }
    }
}
