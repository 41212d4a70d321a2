using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Reads a request's body as JSON, within limits of length and depth.</summary>
internal static class RequestBody
{
    private const int FirstBuffer = 16 << 10;

    // A name that comes twice means two things to two readers; it is refused everywhere.
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>Reads the body.</summary>
    /// <param name="request">The request.</param>
    /// <param name="most">Most bytes.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>The document; the caller disposes it.</returns>
    /// <exception cref="ApiException">The body is too long, or no JSON.</exception>
    public static async Task<JsonDocument> ReadAsync(HttpRequest request, long most, CancellationToken cancellationToken)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
            || !(type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase))
            || !(type.Charset.Length == 0 || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase)))
        {
            throw Errors.NotJson(request.ContentType);
        }

        if (request.ContentLength > most)
        {
            throw Errors.BodyTooLarge(most);
        }

        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            // One more, so that it is this reader that notices and says so.
            limit.MaxRequestBodySize = most + 1;
        }

        ArrayBufferWriter<byte> bytes = new((int)Math.Clamp(request.ContentLength ?? FirstBuffer, 1, FirstBuffer));
        while (true)
        {
            // A buffer grows with what has come, not with what was promised.
            int read = await ReadAsync(request, bytes, most, cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                break;
            }

            bytes.Advance(read);
            if (bytes.WrittenCount > most)
            {
                throw Errors.BodyTooLarge(most);
            }
        }

        return Parse(bytes.WrittenMemory);
    }

    // A piece of a body without a length can be more at once than the server lets through; it notices first.
    private static async Task<int> ReadAsync(HttpRequest request, ArrayBufferWriter<byte> bytes, long most, CancellationToken cancellationToken)
    {
        try
        {
            return await request.Body.ReadAsync(bytes.GetMemory(), cancellationToken).ConfigureAwait(false);
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw Errors.BodyTooLarge(most);
        }
    }

    /// <summary>Parses a body.</summary>
    /// <exception cref="ApiException">It is no JSON.</exception>
    internal static JsonDocument Parse(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            throw Errors.Invalid(null, "The body: expected a JSON object, found nothing.", "invalid_json");
        }

        if (!Utf8.IsValid(bytes.Span))
        {
            throw Errors.Invalid(null, "The body: expected UTF-8, found other bytes.", "invalid_json");
        }

        try
        {
            return JsonDocument.Parse(bytes, Strict);
        }
        catch (JsonException exception)
        {
            throw Errors.Invalid(null, $"The body: expected JSON; {Hosting.Text.OneLine(exception)}", "invalid_json");
        }
        catch (InvalidOperationException)
        {
            // A name with half of a surrogate pair in it, met when names are compared.
            throw Errors.Invalid(null, "The body: expected Unicode text, found half of a surrogate pair.", "invalid_json");
        }
    }
}
