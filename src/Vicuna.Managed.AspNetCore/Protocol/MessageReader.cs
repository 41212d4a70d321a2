using System.Text;
using System.Text.Json;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Reads the messages of a request.</summary>
internal static class MessageReader
{
    private const int MaxToolCalls = 128;

    /// <summary>Reads the member <c>messages</c>.</summary>
    /// <exception cref="ApiException">It is missing, or something in it is not as it should be.</exception>
    public static List<RequestMessage> Read(Fields body)
    {
        const string Name = "messages";
        if (!body.Has(Name, out JsonElement array))
        {
            throw Errors.Invalid(Name, "messages: expected at least one message, found none.", "missing_required_parameter");
        }

        if (array.ValueKind != JsonValueKind.Array || array.GetArrayLength() == 0)
        {
            throw Fields.Wrong(Name, "an array of at least one message", array);
        }

        List<RequestMessage> messages = new(array.GetArrayLength());
        foreach (JsonElement element in array.EnumerateArray())
        {
            messages.Add(ReadMessage(Fields.Of(element, $"{Name}[{messages.Count}]"), messages.Count));
        }

        return messages;
    }

    private static RequestMessage ReadMessage(Fields message, int index)
    {
        if (!message.Has("role", out JsonElement named))
        {
            string path = message.PathOf("role");
            throw Errors.Invalid(path, $"{path}: expected a role, found none.", "missing_required_parameter");
        }

        MessageRole role = Fields.StringOf(named, message.PathOf("role")) switch
        {
            "system" or "developer" => MessageRole.System,
            "user" => MessageRole.User,
            "assistant" => MessageRole.Assistant,
            "tool" => MessageRole.Tool,
            _ => throw Fields.Wrong(message.PathOf("role"), "one of system, developer, user, assistant, tool", named),
        };
        List<RequestToolCall> calls = role == MessageRole.Assistant ? ReadToolCalls(message) : [];
        string? content = ReadContent(message);
        if (content is null && calls.Count == 0)
        {
            string path = message.PathOf("content");
            throw Errors.Invalid(path, $"{path}: expected a string or an array of text parts, found none.", "missing_required_parameter");
        }

        string? id = role == MessageRole.Tool ? message.String("tool_call_id") : null;
        if (role == MessageRole.Tool && id is null)
        {
            string path = message.PathOf("tool_call_id");
            throw Errors.Invalid(path, $"{path}: expected the id of the call that the message answers, found none.", "missing_required_parameter");
        }

        return new RequestMessage(role, content ?? string.Empty, index) { ToolCalls = calls, ToolCallId = id };
    }

    private static string? ReadContent(Fields message)
    {
        const string Name = "content";
        if (!message.Has(Name, out JsonElement content))
        {
            return null;
        }

        string path = message.PathOf(Name);
        if (content.ValueKind == JsonValueKind.String)
        {
            return Fields.StringOf(content, path);
        }

        if (content.ValueKind != JsonValueKind.Array || content.GetArrayLength() == 0)
        {
            throw Fields.Wrong(path, "a string or an array of text parts", content);
        }

        StringBuilder text = new();
        int index = 0;
        foreach (JsonElement element in content.EnumerateArray())
        {
            Fields part = Fields.Of(element, $"{path}[{index++}]");
            string typePath = part.PathOf("type");
            if (part.String("type") != "text")
            {
                throw part.Has("type", out JsonElement type)
                    ? Errors.Invalid(typePath, Fields.Wrong(typePath, "'text': images, sound and files are not supported", type).Message, "unsupported_content")
                    : Errors.Invalid(typePath, $"{typePath}: expected 'text', found none.", "missing_required_parameter");
            }

            string textPath = part.PathOf("text");
            text.Append(part.String("text") ?? throw Errors.Invalid(textPath, $"{textPath}: expected a string, found none.", "missing_required_parameter"));
        }

        return text.ToString();
    }

    private static List<RequestToolCall> ReadToolCalls(Fields message)
    {
        const string Name = "tool_calls";
        if (!message.Has(Name, out JsonElement array))
        {
            return [];
        }

        string path = message.PathOf(Name);
        if (array.ValueKind != JsonValueKind.Array || array.GetArrayLength() is 0 or > MaxToolCalls)
        {
            throw Fields.Wrong(path, $"an array of 1 to {MaxToolCalls} calls", array);
        }

        List<RequestToolCall> calls = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            Fields call = Fields.Of(element, $"{path}[{calls.Count}]");
            if (call.Object("function") is not { } function || function.String("name") is not { Length: > 0 } name)
            {
                string missing = call.PathOf("function");
                throw Errors.Invalid(missing, $"{missing}: expected a function with a name, found none.", "missing_required_parameter");
            }

            string idPath = call.PathOf("id");
            string id = call.String("id") ?? throw Errors.Invalid(idPath, $"{idPath}: expected an id, found none.", "missing_required_parameter");
            calls.Add(new RequestToolCall(id, name, function.String("arguments") is { Length: > 0 } arguments ? arguments : "{}"));
        }

        return calls;
    }
}
