using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Vicuna.Managed.AspNetCore.Protocol;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>
/// A response that is server-sent events (HTML standard, section 9.2) as OpenAI's API has them: every event is one line of JSON, the last is <c>[DONE]</c>.
/// Every event is sent at once.
/// </summary>
internal sealed class EventStream
{
    private readonly PipeWriter _body;
    private readonly CancellationToken _stop;

    /// <summary>Sets the response's headers; they go out with the first event.</summary>
    public EventStream(HttpResponse response, CancellationToken stop)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        response.HttpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        _body = response.BodyWriter;
        _stop = stop;
    }

    /// <summary>Sends an event.</summary>
    /// <param name="members">Writes the object's members.</param>
    public async Task SendAsync(Action<Utf8JsonWriter> members)
    {
        Write(members);
        await FlushAsync().ConfigureAwait(false);
    }

    /// <summary>Sends a comment, which clients ignore, so that the connection is not held for dead.</summary>
    public Task PingAsync()
    {
        _body.Write(": ping\n\n"u8);
        return FlushAsync();
    }

    /// <summary>Sends the end.</summary>
    public Task EndAsync()
    {
        _body.Write("data: [DONE]\n\n"u8);
        return FlushAsync();
    }

    /// <summary>Sends an error. The caller then aborts the connection: clients that ignore the event notice that.</summary>
    public async Task SendErrorAsync(ApiError error)
    {
        Write(error.Write);
        // Not with the request's own token, which may be what ended it.
        await _body.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private void Write(Action<Utf8JsonWriter> members)
    {
        _body.Write("data: "u8);
        using (Utf8JsonWriter json = new(_body, JsonResponse.Writing))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        _body.Write("\n\n"u8);
    }

    private async Task FlushAsync()
    {
        FlushResult result = await _body.FlushAsync(_stop).ConfigureAwait(false);
        if (result.IsCompleted || result.IsCanceled)
        {
            throw new OperationCanceledException("The client has gone.", _stop);
        }
    }
}
