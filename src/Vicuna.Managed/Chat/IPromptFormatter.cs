namespace Vicuna.Managed.Chat;

/// <summary>Writes a conversation in the form that a model was trained on. Implementations are immutable and safe for concurrent use.</summary>
public interface IPromptFormatter
{
    /// <summary>Texts that end an answer when they appear in it, and do not belong to it; compared with the answer's text.</summary>
    IReadOnlyList<string> StopStrings { get; }

    /// <summary>Texts of control pieces that end an answer as EOS does, where the vocabulary has them.</summary>
    IReadOnlyList<string> StopPieces { get; }

    /// <summary>Turns a conversation into the prompt for the assistant's next answer.</summary>
    /// <param name="messages">An optional system message, then user and assistant in turn; the last is the user's.</param>
    /// <returns>The prompt's segments, in order.</returns>
    /// <exception cref="ArgumentException">The roles come in another order; the message names the index.</exception>
    IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages);
}
