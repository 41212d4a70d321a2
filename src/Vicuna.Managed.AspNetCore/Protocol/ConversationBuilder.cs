using Vicuna.Managed.Chat;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Makes a request's messages the conversation that a model's template takes.</summary>
internal static class ConversationBuilder
{
    private const string Between = "\n\n";

    /// <summary>Makes the conversation: instructions, of which a template has one place, come together at its beginning; the others must take turns.</summary>
    /// <exception cref="ApiException">The others do not take turns; the message names the place.</exception>
    public static List<ChatMessage> Build(IReadOnlyList<RequestMessage> messages)
    {
        List<ChatMessage> conversation = [];
        string[] instructions = [.. messages.Where(message => message.Role == MessageRole.System).Select(message => message.Content)];
        if (instructions.Length > 0)
        {
            conversation.Add(new ChatMessage(ChatRole.System, string.Join(Between, instructions)));
        }

        MessageRole expected = MessageRole.User;
        foreach (RequestMessage message in messages.Where(message => message.Role != MessageRole.System))
        {
            if (message.Role == MessageRole.Tool || message.ToolCalls.Count > 0)
            {
                throw Errors.Unsupported($"messages[{message.Index}]", $"messages[{message.Index}]: expected no calls of tools and no answers to them; this model was not made for tools.");
            }

            if (message.Role != expected)
            {
                throw Turn(message, $"role '{NameOf(expected)}'; after optional instructions user and assistant take turns");
            }

            conversation.Add(new ChatMessage(message.Role == MessageRole.User ? ChatRole.User : ChatRole.Assistant, message.Content));
            expected = message.Role == MessageRole.User ? MessageRole.Assistant : MessageRole.User;
        }

        return expected == MessageRole.Assistant
            ? conversation
            : throw Errors.Invalid("messages", "messages: expected the last message to be the user's, found another, or none of the user's.");
    }

    private static ApiException Turn(RequestMessage message, string expected)
    {
        string path = $"messages[{message.Index}].role";
        return Errors.Invalid(path, $"{path}: expected {expected}, found '{NameOf(message.Role)}'.");
    }

    private static string NameOf(MessageRole role) => role.ToString().ToLowerInvariant();
}
