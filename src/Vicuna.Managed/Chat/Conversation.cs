namespace Vicuna.Managed.Chat;

/// <summary>A conversation whose roles have been checked.</summary>
/// <param name="System">The system's text, or null without one.</param>
/// <param name="Turns">Texts of the user (even indices) and the assistant (odd), beginning and ending with the user.</param>
internal readonly record struct Conversation(string? System, IReadOnlyList<string> Turns)
{
    /// <summary>Checks the order of roles that all templates have in common.</summary>
    /// <exception cref="ArgumentException">A message is null or its role is out of order, or the last is not the user's.</exception>
    public static Conversation Check(IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        string? system = null;
        List<string> turns = new(messages.Count);
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i]?.Content is not string content)
            {
                throw new ArgumentException($"Message {i}: expected a content, found null.", nameof(messages));
            }

            ChatRole role = messages[i].Role;
            if (i == 0 && role == ChatRole.System)
            {
                system = content;
                continue;
            }

            ChatRole expected = turns.Count % 2 == 0 ? ChatRole.User : ChatRole.Assistant;
            if (role != expected)
            {
                throw new ArgumentException($"Message {i}: expected the role {expected}, found {role}.", nameof(messages));
            }

            turns.Add(content);
        }

        return turns.Count % 2 == 1
            ? new Conversation(system, turns)
            : throw new ArgumentException($"Message {messages.Count}: expected a last message of the role {ChatRole.User}, found the end.", nameof(messages));
    }
}
