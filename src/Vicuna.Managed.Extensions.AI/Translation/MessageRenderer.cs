using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes the contents of one conversation's messages text, in their order: a tool's result is known by its call, which comes before it.</summary>
/// <param name="areCallsKnown">Whether calls of tools and their results have a text.</param>
/// <param name="hasTools">Whether the answer will be given in the form of <see cref="PromptTools"/>, so that earlier answers are shown in it too.</param>
internal sealed class MessageRenderer(bool areCallsKnown, bool hasTools)
{
    // The text goes to a model, not to a web page; escapes and space would only cost tokens.
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

    /// <summary>Text of a message; null where all that it has is of no concern to the model: earlier reasoning and counts.</summary>
    /// <param name="message">The message.</param>
    /// <param name="index">Its place in the request.</param>
    /// <exception cref="NotSupportedException">It has a content that has no text.</exception>
    /// <exception cref="ArgumentException">It has a result of a call that did not come before it, or JSON that is no Unicode text.</exception>
    public string? TextOf(Microsoft.Extensions.AI.ChatMessage message, int index)
    {
        StringBuilder words = new();
        bool hasWords = message.Contents.Count == 0;
        List<string> lines = [];
        for (int i = 0; i < message.Contents.Count; i++)
        {
            string place = $"messages[{index}].Contents[{i}]";
            switch (message.Contents[i])
            {
                case TextContent part:
                    words.Append(part.Text);
                    hasWords = true;
                    break;
                // Models are not shown what they thought in earlier turns, and these templates have no place for it.
                case TextReasoningContent or UsageContent:
                    break;
                case FunctionCallContent call when areCallsKnown:
                    lines.Add(TextOf(call, place));
                    break;
                case FunctionResultContent result when areCallsKnown:
                    lines.Add(TextOf(result, place));
                    break;
                case FunctionCallContent or FunctionResultContent:
                    throw new NotSupportedException(
                        $"{place}: expected text, found {message.Contents[i].GetType().Name}; the model's template has no form for tools, "
                        + $"and {nameof(VicunaChatClientOptions.EnablePromptTools)} is off.");
                case var other:
                    throw new NotSupportedException($"{place}: expected text, found {other?.GetType().Name ?? "null"}, which the model cannot take.");
            }
        }

        if (hasWords && (words.Length > 0 || lines.Count == 0))
        {
            bool isAnswer = hasTools && lines.Count == 0 && message.Role == Microsoft.Extensions.AI.ChatRole.Assistant;
            lines.Insert(0, isAnswer ? PromptTools.FormatAnswer(words.ToString()) : words.ToString());
        }

        return lines.Count > 0 ? string.Join('\n', lines) : null;
    }

    // JSON's texts are looked into no earlier than they are read or written.
    private static string StringOf(JsonElement json, string place)
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            throw NoJson(place, exception);
        }
    }

    private static string Json<T>(T value, string place)
    {
        using MemoryStream bytes = new();
        try
        {
            using Utf8JsonWriter json = new(bytes, Writing);
            JsonSerializer.Serialize(json, value, (JsonTypeInfo<T>)AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(T)));
        }
        catch (Exception exception) when (exception is InvalidOperationException or JsonException)
        {
            throw NoJson(place, exception);
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    // The reason is most often half of a surrogate pair; a caller's own type can have others.
    private static ArgumentException NoJson(string place, Exception exception) =>
        new($"{place}: expected JSON in Unicode text: {(exception.InnerException ?? exception).Message}", exception);

    private string TextOf(FunctionCallContent call, string place)
    {
        _names[call.CallId] = call.Name;
        return PromptTools.FormatCall(new PromptToolCall(call.Name, call.Arguments is { } arguments ? Json(arguments, place) : "{}"));
    }

    private string TextOf(FunctionResultContent result, string place)
    {
        if (!_names.TryGetValue(result.CallId, out string? name))
        {
            throw new ArgumentException(
                $"{place}: expected the result of a call that comes before it, found the call id '{result.CallId}', which none has.", nameof(result));
        }

        string text = result.Result switch
        {
            null => result.Exception is { } exception ? $"error: {exception.Message}" : "null",
            string words => words,
            JsonElement { ValueKind: JsonValueKind.String } json => StringOf(json, place),
            TextContent content => content.Text,
            AIContent other => throw new NotSupportedException(
                $"{place}: expected a result in text or JSON, found {other.GetType().Name}, which the model cannot take."),
            var value => Json(value, place),
        };
        return PromptTools.FormatResult(name, text);
    }
}
