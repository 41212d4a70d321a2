using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>An error as OpenAI's API has it.</summary>
/// <param name="Status">Status of the response.</param>
/// <param name="Type">Kind of error; llama.cpp's names where OpenAI has none.</param>
/// <param name="Code">What exactly, for programs; never a number, which OpenAI's .NET client drops.</param>
/// <param name="Message">What exactly, for people; one line.</param>
/// <param name="Parameter">The field of the request that is wrong, or null.</param>
internal sealed record ApiError(int Status, string Type, string? Code, string Message, string? Parameter = null)
{
    /// <summary>After which time another attempt is sensible, or null where none is. Clients that are not told try again at once.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Tokens of a prompt that is too long, or null.</summary>
    public int? PromptTokens { get; init; }

    /// <summary>Tokens that the context holds, where the prompt is too long; or null.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Value of the header <c>Retry-After</c>: whole seconds, at least one.</summary>
    public string? RetryAfterHeader => RetryAfter is { } time
        ? Math.Max(1, (long)Math.Min(Math.Ceiling(time.TotalSeconds), int.MaxValue)).ToString(CultureInfo.InvariantCulture)
        : null;

    /// <summary>Writes the member <c>error</c>.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", Type);
        json.WriteString("param", Parameter);
        json.WriteString("code", Code);
        if (PromptTokens is { } tokens && ContextLength is { } context)
        {
            json.WriteNumber("n_prompt_tokens", tokens);
            json.WriteNumber("n_ctx", context);
        }

        json.WriteEndObject();
    }
}
