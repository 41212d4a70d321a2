using Microsoft.Extensions.AI;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes messages the conversation that a model's template takes: optional instructions, then user and assistant in turn.</summary>
/// <param name="renderer">Makes contents text.</param>
internal sealed class ConversationBuilder(MessageRenderer renderer)
{
    private const string Between = "\n\n";
    private static readonly ChatRole Developer = new("developer");

    private readonly List<string> _instructions = [];
    private readonly List<Chat.ChatMessage> _turns = [];
    private ChatRole? _last;

    /// <summary>
    /// Makes the conversation. Instructions, of which a template has one place, come together at its beginning; messages of one side that follow each
    /// other become one turn. What tools returned is the user's side.
    /// </summary>
    /// <param name="messages">The messages.</param>
    /// <param name="before">Instructions before those of the messages; may be null.</param>
    /// <param name="after">Instructions after those of the messages; may be null.</param>
    /// <exception cref="ArgumentException">The conversation does not begin and end with the user, or a role is unknown; the message says where.</exception>
    /// <exception cref="NotSupportedException">A message has contents that have no text; the message names place and type.</exception>
    public List<Chat.ChatMessage> Build(IEnumerable<ChatMessage> messages, string? before, string? after)
    {
        Instruct(before);
        int count = 0;
        foreach (ChatMessage message in messages)
        {
            Add(message ?? throw new ArgumentException($"messages[{count}]: expected a message, found null.", nameof(messages)), count++);
        }

        Instruct(after);
        if (_turns.Count == 0 || _turns[^1].Role != Chat.ChatRole.User)
        {
            string found = _turns.Count == 0 ? "none of the user's" : "the assistant's";
            throw new ArgumentException($"messages[{count}]: expected the last message to be the user's, found {found}.", nameof(messages));
        }

        return _instructions.Count > 0 ? [new Chat.ChatMessage(Chat.ChatRole.System, string.Join(Between, _instructions)), .. _turns] : _turns;
    }

    private void Instruct(string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            _instructions.Add(text);
        }
    }

    private void Add(ChatMessage message, int index)
    {
        Chat.ChatRole role = message.Role == ChatRole.System || message.Role == Developer ? Chat.ChatRole.System
            : message.Role == ChatRole.User || message.Role == ChatRole.Tool ? Chat.ChatRole.User
            : message.Role == ChatRole.Assistant ? Chat.ChatRole.Assistant
            : throw new ArgumentException(
                $"messages[{index}]: expected the role system, developer, user, assistant or tool, found '{message.Role}'.", nameof(message));
        if (renderer.TextOf(message, index) is not { } text)
        {
            return;
        }

        if (role == Chat.ChatRole.System)
        {
            Instruct(text);
            return;
        }

        if (_turns.Count == 0 && role != Chat.ChatRole.User)
        {
            throw new ArgumentException(
                $"messages[{index}]: expected the role user, with which the model's template begins, found '{message.Role}'.", nameof(message));
        }

        if (_turns.Count > 0 && _turns[^1].Role == role)
        {
            // Results of several calls are lines of one message, whether or not they came as one.
            string between = _last == ChatRole.Tool && message.Role == ChatRole.Tool ? "\n" : Between;
            _turns[^1] = new Chat.ChatMessage(role, _turns[^1].Content + between + text);
        }
        else
        {
            _turns.Add(new Chat.ChatMessage(role, text));
        }

        _last = message.Role;
    }
}
