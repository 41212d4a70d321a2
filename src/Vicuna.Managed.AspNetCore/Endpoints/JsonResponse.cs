using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>Writes responses that are one JSON object.</summary>
internal static class JsonResponse
{
    /// <summary>The response is never part of a web page (its type says so, and that it is not to be guessed): characters beyond ASCII stay readable.</summary>
    public static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a response.</summary>
    /// <param name="response">The response, of which nothing has been sent.</param>
    /// <param name="status">Its status.</param>
    /// <param name="members">Writes the object's members.</param>
    /// <param name="cancellationToken">Stops the writing.</param>
    public static async Task WriteAsync(HttpResponse response, int status, Action<Utf8JsonWriter> members, CancellationToken cancellationToken)
    {
        ArrayBufferWriter<byte> bytes = new(1024);
        using (Utf8JsonWriter json = new(bytes, Writing))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = bytes.WrittenCount;
        if (!HttpMethods.IsHead(response.HttpContext.Request.Method))
        {
            await response.Body.WriteAsync(bytes.WrittenMemory, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes an error as a response.</summary>
    public static Task WriteErrorAsync(HttpResponse response, ApiError error, CancellationToken cancellationToken)
    {
        if (error.RetryAfterHeader is { } seconds)
        {
            response.Headers.RetryAfter = seconds;
        }

        if (error.Status == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = "Bearer";
        }

        return WriteAsync(response, error.Status, error.Write, cancellationToken);
    }
}
