namespace Vicuna.Managed.Chat;

/// <summary>ChatML (openai/openai-python, <c>chatml.md</c>): every message between two control pieces, each followed by a line end.</summary>
internal sealed class ChatMlFormatter : IPromptFormatter
{
    private const string Start = "<|im_start|>";
    private const string End = "<|im_end|>";

    /// <inheritdoc/>
    /// <remarks>A vocabulary without the control pieces spells them in text.</remarks>
    public IReadOnlyList<string> StopStrings { get; } = [End];

    /// <inheritdoc/>
    public IReadOnlyList<string> StopPieces { get; } = [End];

    /// <inheritdoc/>
    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        Conversation conversation = Conversation.Check(messages);
        List<PromptSegment> segments = [PromptSegment.Bos];
        if (conversation.System is string system)
        {
            Add(segments, "system", system);
        }

        for (int i = 0; i < conversation.Turns.Count; i++)
        {
            Add(segments, i % 2 == 0 ? "user" : "assistant", conversation.Turns[i]);
        }

        segments.Add(PromptSegment.Piece(Start));
        segments.Add(PromptSegment.Text("assistant\n"));
        return segments;
    }

    private static void Add(List<PromptSegment> segments, string role, string text)
    {
        segments.Add(PromptSegment.Piece(Start));
        segments.Add(PromptSegment.Text($"{role}\n{text}"));
        segments.Add(PromptSegment.Piece(End));
        segments.Add(PromptSegment.Text("\n"));
    }
}
