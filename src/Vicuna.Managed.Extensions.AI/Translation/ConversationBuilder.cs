using System.Text;
using Microsoft.Extensions.AI;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes messages the conversation that a model's template takes: optional instructions, then user and assistant in turn.</summary>
internal sealed class ConversationBuilder
{
    private const string Between = "\n\n";
    private static readonly ChatRole Developer = new("developer");

    private readonly List<string> _instructions = [];
    private readonly List<Chat.ChatMessage> _turns = [];

    /// <summary>
    /// Makes the conversation. Instructions, of which a template has one place, come together at its beginning; messages of one role that follow each
    /// other become one turn.
    /// </summary>
    /// <param name="messages">The messages.</param>
    /// <param name="instructions">Those of the request, which come first; may be null.</param>
    /// <exception cref="ArgumentException">The conversation does not begin and end with the user, or a role is unknown; the message names the place.</exception>
    /// <exception cref="NotSupportedException">A message has contents other than text; the message names place and type.</exception>
    public static List<Chat.ChatMessage> Build(IEnumerable<ChatMessage> messages, string? instructions)
    {
        ConversationBuilder builder = new();
        if (!string.IsNullOrEmpty(instructions))
        {
            builder._instructions.Add(instructions);
        }

        int index = 0;
        foreach (ChatMessage message in messages)
        {
            builder.Add(message ?? throw new ArgumentException($"messages[{index}]: expected a message, found null.", nameof(messages)), index++);
        }

        return builder.Finish(index);
    }

    private void Add(ChatMessage message, int index)
    {
        if (TextOf(message, index) is not { } text)
        {
            return;
        }

        if (message.Role == ChatRole.System || message.Role == Developer)
        {
            _instructions.Add(text);
            return;
        }

        Chat.ChatRole role = message.Role == ChatRole.User ? Chat.ChatRole.User
            : message.Role == ChatRole.Assistant ? Chat.ChatRole.Assistant
            : throw new ArgumentException($"messages[{index}]: expected the role system, developer, user or assistant, found '{message.Role}'.", nameof(message));
        if (_turns.Count == 0 && role != Chat.ChatRole.User)
        {
            throw new ArgumentException($"messages[{index}]: expected the role user, as the model's template begins with it, found '{message.Role}'.", nameof(message));
        }

        if (_turns.Count > 0 && _turns[^1].Role == role)
        {
            _turns[^1] = new Chat.ChatMessage(role, _turns[^1].Content + Between + text);
            return;
        }

        _turns.Add(new Chat.ChatMessage(role, text));
    }

    private List<Chat.ChatMessage> Finish(int count)
    {
        if (_turns.Count == 0 || _turns[^1].Role != Chat.ChatRole.User)
        {
            string found = _turns.Count == 0 ? "none of the user's" : "the assistant's";
            throw new ArgumentException($"messages[{count}]: expected the last message to be the user's, found {found}.", nameof(count));
        }

        return _instructions.Count > 0 ? [new Chat.ChatMessage(Chat.ChatRole.System, string.Join(Between, _instructions)), .. _turns] : _turns;
    }

    /// <summary>Text of a message; null where all that it has is of no concern to the model: earlier reasoning and counts.</summary>
    private static string? TextOf(ChatMessage message, int index)
    {
        StringBuilder text = new();
        bool isMeant = message.Contents.Count == 0;
        for (int i = 0; i < message.Contents.Count; i++)
        {
            switch (message.Contents[i])
            {
                case TextContent part:
                    text.Append(part.Text);
                    isMeant = true;
                    break;
                // Models are not shown what they thought in earlier turns, and these templates have no place for it.
                case TextReasoningContent or UsageContent:
                    break;
                case var other:
                    throw new NotSupportedException($"messages[{index}].Contents[{i}]: expected text, found {other?.GetType().Name ?? "null"}, which the model cannot take.");
            }
        }

        return isMeant ? text.ToString() : null;
    }
}
