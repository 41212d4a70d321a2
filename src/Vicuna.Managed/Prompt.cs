using Vicuna.Managed.Chat;

namespace Vicuna.Managed;

/// <summary>What an answer is generated from: text, token ids, or a conversation. Strings, id arrays and message arrays convert to it.</summary>
public sealed class Prompt
{
    private Prompt()
    {
    }

    /// <summary>The text, where it is one.</summary>
    public string? Text { get; private init; }

    /// <summary>The token ids, where it is some.</summary>
    public IReadOnlyList<int>? Tokens { get; private init; }

    /// <summary>The conversation, where it is one.</summary>
    public IReadOnlyList<ChatMessage>? Messages { get; private init; }

    /// <summary>Text to be continued. The tokenizer adds its beginning-of-sequence id.</summary>
    /// <param name="text">The text. It can never become control tokens.</param>
    public static implicit operator Prompt(string text) => FromText(text);

    /// <summary>Token ids to be continued, taken as they are.</summary>
    /// <param name="tokens">The ids, at least one.</param>
    public static implicit operator Prompt(int[] tokens) => FromTokens(tokens);

    /// <summary>A conversation to be answered, in the model's template.</summary>
    /// <param name="messages">An optional system message, then user and assistant in turn; the last is the user's.</param>
    public static implicit operator Prompt(ChatMessage[] messages) => FromMessages(messages);

    /// <summary>Text to be continued. The tokenizer adds its beginning-of-sequence id.</summary>
    /// <param name="text">The text. It can never become control tokens.</param>
    /// <returns>The prompt.</returns>
    /// <exception cref="ArgumentNullException">The text is null.</exception>
    public static Prompt FromText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new Prompt { Text = text };
    }

    /// <summary>Token ids to be continued, taken as they are.</summary>
    /// <param name="tokens">The ids, at least one.</param>
    /// <returns>The prompt.</returns>
    /// <exception cref="ArgumentException">There are no ids.</exception>
    public static Prompt FromTokens(IReadOnlyList<int> tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        return tokens.Count > 0 ? new Prompt { Tokens = [.. tokens] } : throw new ArgumentException("Expected at least one token, found none.", nameof(tokens));
    }

    /// <summary>A conversation to be answered, in the model's template.</summary>
    /// <param name="messages">An optional system message, then user and assistant in turn; the last is the user's.</param>
    /// <returns>The prompt.</returns>
    /// <exception cref="ArgumentException">There are no messages, or one is null.</exception>
    public static Prompt FromMessages(IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return messages.Count > 0 && messages.All(message => message?.Content is not null)
            ? new Prompt { Messages = [.. messages] }
            : throw new ArgumentException("Expected at least one message and none without content.", nameof(messages));
    }
}
