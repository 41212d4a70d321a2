using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/{id}</c>.</summary>
internal static class ModelsEndpoint
{
    /// <summary>Lists the model.</summary>
    public static Task ListAsync(Exchange exchange) => JsonResponse.WriteAsync(
        exchange.Http.Response,
        StatusCodes.Status200OK,
        json =>
        {
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            json.WriteStartObject();
            Write(json, exchange.Served);
            json.WriteEndObject();
            json.WriteEndArray();
        },
        exchange.Stop);

    /// <summary>Tells of the model.</summary>
    public static Task GetAsync(Exchange exchange)
    {
        string id = exchange.Http.Request.RouteValues["id"] as string ?? string.Empty;
        if (id != exchange.Served.Id)
        {
            // A slash in a name is escaped by careful clients, and is the one character that stays so in a path.
            id = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        }

        return id == exchange.Served.Id
            ? JsonResponse.WriteAsync(exchange.Http.Response, StatusCodes.Status200OK, json => Write(json, exchange.Served), exchange.Stop)
            : throw Errors.UnknownModel(id, exchange.Served.Id);
    }

    private static void Write(Utf8JsonWriter json, ServedModel served)
    {
        json.WriteString("id", served.Id);
        json.WriteString("object", "model");
        json.WriteNumber("created", served.Created);
        json.WriteString("owned_by", "vicuna.managed");
        json.WriteNumber("context_length", served.Engine.ContextLength);
    }
}
