using Vicuna.Managed.Chat;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Makes a request's messages the conversation that a model's template takes.</summary>
internal sealed class ConversationBuilder
{
    private const string Between = "\n\n";

    private readonly List<ChatMessage> _conversation = [];
    private readonly ToolRequest? _tools;
    private readonly bool _allowsTools;
    private readonly List<RequestToolCall> _open = [];
    private readonly List<string> _results = [];

    private ConversationBuilder(ToolRequest? tools, bool allowsTools) => (_tools, _allowsTools) = (tools, allowsTools);

    private ChatRole Expected => _conversation.Count == 0 || _conversation[^1].Role != ChatRole.User ? ChatRole.User : ChatRole.Assistant;

    /// <summary>
    /// Makes the conversation: instructions, of which a template has one place, come together at its beginning, tools after them; the others must take turns.
    /// What tools returned is the user's turn, with what the user says after it.
    /// </summary>
    /// <param name="messages">The request's messages.</param>
    /// <param name="tools">Tools that the answer may call, or null.</param>
    /// <param name="allowsTools">Whether the messages may have calls of tools and answers to them.</param>
    /// <exception cref="ApiException">The others do not take turns; the message names the place.</exception>
    public static IReadOnlyList<ChatMessage> Build(IReadOnlyList<RequestMessage> messages, ToolRequest? tools, bool allowsTools)
    {
        ConversationBuilder builder = new(tools, allowsTools);
        string[] instructions =
        [
            .. messages.Where(message => message.Role == MessageRole.System).Select(message => message.Content),
            .. tools is null ? Array.Empty<string>() : [tools.Tools.Instructions],
        ];
        if (instructions.Length > 0)
        {
            builder._conversation.Add(new ChatMessage(ChatRole.System, string.Join(Between, instructions)));
        }

        foreach (RequestMessage message in messages.Where(message => message.Role != MessageRole.System))
        {
            builder.Add(message);
        }

        builder.CloseResults(messages.Count);
        return builder.Expected == ChatRole.Assistant
            ? builder._conversation
            : throw Errors.Invalid("messages", "messages: expected the last message to be the user's, found another, or none of the user's.");
    }

    private void Add(RequestMessage message)
    {
        if (!_allowsTools && (message.Role == MessageRole.Tool || message.ToolCalls.Count > 0))
        {
            string place = $"messages[{message.Index}]";
            throw Errors.Unsupported(place, $"{place}: expected no calls of tools and no answers to them; this model was not made for tools.");
        }

        if (message.Role == MessageRole.Tool)
        {
            AddResult(message);
            return;
        }

        bool followsResults = _results.Count > 0;
        CloseResults(message.Index);
        if (message.Role == MessageRole.User && followsResults)
        {
            _conversation[^1] = _conversation[^1] with { Content = _conversation[^1].Content + Between + message.Content };
            return;
        }

        ChatRole role = message.Role == MessageRole.User ? ChatRole.User : ChatRole.Assistant;
        if (role != Expected)
        {
            throw Turn(message, $"role '{Expected.ToString().ToLowerInvariant()}'; after optional instructions user and assistant take turns");
        }

        _conversation.Add(new ChatMessage(role, role == ChatRole.User ? message.Content : TextOf(message)));
        _open.AddRange(message.ToolCalls);
    }

    // The assistant's message as the model would have written it.
    private string TextOf(RequestMessage message)
    {
        if (message.ToolCalls.Count == 0)
        {
            return _tools is null ? message.Content : PromptTools.FormatAnswer(message.Content);
        }

        try
        {
            string[] calls = [.. message.ToolCalls.Select(call => PromptTools.FormatCall(new PromptToolCall(call.Name, call.Arguments)))];
            return string.Join('\n', message.Content.Length > 0 ? [message.Content, .. calls] : calls);
        }
        catch (ArgumentException exception)
        {
            string path = $"messages[{message.Index}].tool_calls";
            throw Errors.Invalid(path, $"{path}: {Hosting.Text.OneLine(exception)}");
        }
    }

    private void AddResult(RequestMessage message)
    {
        RequestToolCall? call = _open.Find(open => open.Id == message.ToolCallId);
        if (call is null)
        {
            string path = $"messages[{message.Index}].tool_call_id";
            throw Errors.Invalid(path, $"{path}: expected the id of a call in the assistant's message before it that has no answer yet, found another.");
        }

        _open.Remove(call);
        _results.Add(PromptTools.FormatResult(call.Name, message.Content));
    }

    private void CloseResults(int index)
    {
        if (_open.Count > 0)
        {
            string path = $"messages[{index}]";
            string ids = string.Join(", ", _open.Select(call => Hosting.Text.Printable(call.Id, 80)));
            throw Errors.Invalid("messages", $"{path}: expected answers to the calls {ids} before it, by messages of role 'tool', found none.");
        }

        if (_results.Count > 0)
        {
            _conversation.Add(new ChatMessage(ChatRole.User, string.Join('\n', _results)));
            _results.Clear();
        }
    }

    private static ApiException Turn(RequestMessage message, string expected)
    {
        string path = $"messages[{message.Index}].role";
        return Errors.Invalid(path, $"{path}: expected {expected}, found '{message.Role.ToString().ToLowerInvariant()}'.");
    }
}
