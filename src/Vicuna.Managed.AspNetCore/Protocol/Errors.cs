using Microsoft.AspNetCore.Http;
using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>The errors that the API has, and which of them an exception is.</summary>
internal static class Errors
{
    /// <summary>Type of errors that are the request's own.</summary>
    public const string InvalidRequest = "invalid_request_error";

    /// <summary>Type of errors that pass.</summary>
    public const string Unavailable = "unavailable_error";

    // How long a model takes to load is not known; this is often enough for nobody to wait long.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    /// <summary>Something in the request is wrong.</summary>
    public static ApiException Invalid(string? parameter, string message, string code = "invalid_value") =>
        new(new ApiError(StatusCodes.Status400BadRequest, InvalidRequest, code, message, parameter));

    /// <summary>Something in the request is right, but not for this server.</summary>
    public static ApiException Unsupported(string? parameter, string message) => Invalid(parameter, message, "unsupported_parameter");

    /// <summary>No key, or a wrong one.</summary>
    public static ApiError Unauthorized() => new(
        StatusCodes.Status401Unauthorized, "authentication_error", "invalid_api_key",
        "Expected a valid API key in the header 'Authorization: Bearer <key>' or 'X-Api-Key', found none.");

    /// <summary>There is no such path.</summary>
    public static ApiError UnknownPath(string method, string path) => new(
        StatusCodes.Status404NotFound, "not_found_error", "unknown_url", $"Unknown URL: {Text.Printable(method, 16)} {Text.Printable(path)}.");

    /// <summary>The path takes other methods.</summary>
    public static ApiError WrongMethod(string method, IEnumerable<string> allowed) => new(
        StatusCodes.Status405MethodNotAllowed, InvalidRequest, "method_not_allowed",
        $"Method: expected {string.Join(" or ", allowed)}, found {Text.Printable(method, 16)}.");

    /// <summary>Another model is served.</summary>
    public static ApiException UnknownModel(string model, string served) => new(new ApiError(
        StatusCodes.Status404NotFound, "not_found_error", "model_not_found",
        $"The model '{Text.Printable(model)}' does not exist here; served is '{Text.Printable(served)}'.", "model"));

    /// <summary>The body is longer than allowed.</summary>
    public static ApiException BodyTooLarge(long most) => new(new ApiError(
        StatusCodes.Status413PayloadTooLarge, InvalidRequest, "request_too_large", $"The body: expected at most {most} bytes, found more."));

    /// <summary>The body is not said to be JSON.</summary>
    public static ApiException NotJson(string? contentType) => new(new ApiError(
        StatusCodes.Status415UnsupportedMediaType, InvalidRequest, "unsupported_media_type",
        $"Content-Type: expected application/json in UTF-8, found {(string.IsNullOrEmpty(contentType) ? "none" : $"'{Text.Printable(contentType)}'")}."));

    /// <summary>The model is still being loaded.</summary>
    public static ApiError Loading() => new(StatusCodes.Status503ServiceUnavailable, Unavailable, "model_loading", "Loading model") { RetryAfter = Soon };

    /// <summary>The model could not be loaded.</summary>
    /// <param name="kind">The kind of error; the details are in the log.</param>
    public static ApiError LoadFailed(string kind) => new(
        StatusCodes.Status503ServiceUnavailable, Unavailable, "model_failed", $"The model could not be loaded ({kind}); see the server's log.")
    {
        RetryAfter = TimeSpan.FromMinutes(1),
    };

    /// <summary>The server is ending.</summary>
    public static ApiError Draining() => new(
        StatusCodes.Status503ServiceUnavailable, Unavailable, "shutting_down", "The server is shutting down.") { RetryAfter = Soon };

    /// <summary>The engine's loop has died.</summary>
    public static ApiError Unhealthy() => new(
        StatusCodes.Status503ServiceUnavailable, Unavailable, "engine_failed", "The engine has failed; the server must be restarted.")
    {
        RetryAfter = TimeSpan.FromMinutes(1),
    };

    /// <summary>As many requests wait as may.</summary>
    public static ApiError Busy() => new(StatusCodes.Status503ServiceUnavailable, Unavailable, "queue_full", "The queue is full.") { RetryAfter = Soon };

    /// <summary>There is no room for another request, which is known before it is read.</summary>
    public static ApiError Full(EngineStatus status, EngineOptions options) => new(
        StatusCodes.Status429TooManyRequests, "rate_limit_error", "queue_full",
        $"The engine is busy: {status.ActiveRequests} requests are being worked on and {status.QueuedRequests} wait; "
        + $"it takes {options.MaxConcurrentRequests} and {options.MaxQueuedRequests}.")
    {
        RetryAfter = TimeSpan.FromSeconds(1 + (status.QueuedRequests / options.MaxConcurrentRequests)),
    };

    /// <summary>What is no fault of the request; the details are in the log.</summary>
    public static ApiError Internal() => new(
        StatusCodes.Status500InternalServerError, "server_error", "internal_error", "The server failed to answer the request; see its log.")
    {
        // Without it OpenAI's clients would try three more times in the same moment.
        RetryAfter = Soon,
    };

    /// <summary>Which error an exception is; null where it is none of the expected ones.</summary>
    /// <param name="exception">The exception.</param>
    /// <param name="prompt">The field that the prompt is in.</param>
    public static ApiError? Find(Exception exception, string? prompt) => exception switch
    {
        ApiException api => api.Error,
        ContextLengthExceededException tooLong => new ApiError(
            StatusCodes.Status400BadRequest, "exceed_context_size_error", "context_length_exceeded",
            $"The prompt has {tooLong.Tokens} tokens; the context holds {tooLong.ContextLength}, and an answer needs room for at least one.", prompt)
        {
            PromptTokens = tooLong.Tokens,
            ContextLength = tooLong.ContextLength,
        },
        EngineOverloadedException { Reason: OverloadReason.QueueFull } full => new ApiError(
            StatusCodes.Status429TooManyRequests, "rate_limit_error", "queue_full", Text.OneLine(full)) { RetryAfter = full.RetryAfter },
        EngineOverloadedException { Reason: OverloadReason.QueueTimeout } late => new ApiError(
            StatusCodes.Status503ServiceUnavailable, Unavailable, "queue_timeout", Text.OneLine(late)) { RetryAfter = late.RetryAfter },
        EngineOverloadedException ending => Draining() with { RetryAfter = ending.RetryAfter },
        // Not 408 or 504: like them it is tried again by OpenAI's clients, but it says for how long to wait before.
        TimeoutException => new ApiError(
            StatusCodes.Status503ServiceUnavailable, "timeout_error", "time_limit", "The request's time limit came before its first token.") { RetryAfter = Soon },
        // The model has no tokenizer or no known template: the request is right, for another model.
        ModelFormatException lacking => new ApiError(StatusCodes.Status501NotImplemented, "not_supported_error", "not_supported", Text.OneLine(lacking), prompt),
        NonFiniteLogitsException { IsEveryTokenBanned: true } banned => new ApiError(
            StatusCodes.Status400BadRequest, InvalidRequest, "invalid_value", Text.OneLine(banned), "logit_bias"),
        BadHttpRequestException bad => new ApiError(bad.StatusCode, InvalidRequest, "bad_request", Text.OneLine(bad))
        {
            // A body that comes too slowly: OpenAI's clients try again, at once if they are not told.
            RetryAfter = bad.StatusCode == StatusCodes.Status408RequestTimeout ? Soon : null,
        },
        _ => null,
    };
}
