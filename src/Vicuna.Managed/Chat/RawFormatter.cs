namespace Vicuna.Managed.Chat;

/// <summary>No form at all: the messages' texts, joined.</summary>
internal sealed class RawFormatter : IPromptFormatter
{
    /// <inheritdoc/>
    public IReadOnlyList<string> StopStrings => [];

    /// <inheritdoc/>
    public IReadOnlyList<string> StopPieces => [];

    /// <inheritdoc/>
    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        Conversation conversation = Conversation.Check(messages);
        return [PromptSegment.Bos, PromptSegment.Text(string.Concat([conversation.System ?? "", .. conversation.Turns]))];
    }
}
