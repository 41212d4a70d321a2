using System.Text;

namespace Vicuna.Managed.Chat;

/// <summary>Vicuna v1.1 and later (lm-sys/FastChat, <c>fastchat/conversation.py</c>, "vicuna_v1.1", separator style ADD_COLON_TWO).</summary>
internal sealed class VicunaFormatter : IPromptFormatter
{
    private const string DefaultSystem =
        "A chat between a curious user and an artificial intelligence assistant. "
        + "The assistant gives helpful, detailed, and polite answers to the user's questions.";

    /// <inheritdoc/>
    public IReadOnlyList<string> StopStrings => [];

    /// <inheritdoc/>
    public IReadOnlyList<string> StopPieces => [];

    /// <inheritdoc/>
    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        Conversation conversation = Conversation.Check(messages);
        List<PromptSegment> segments = [PromptSegment.Bos];
        StringBuilder text = new(conversation.System ?? DefaultSystem);
        text.Append(' ');
        for (int i = 0; i < conversation.Turns.Count; i++)
        {
            string turn = conversation.Turns[i];
            bool isUser = i % 2 == 0;
            text.Append(isUser ? "USER:" : "ASSISTANT:");
            if (turn.Length == 0)
            {
                continue;
            }

            text.Append(' ').Append(turn);
            if (isUser)
            {
                text.Append(' ');
                continue;
            }

            segments.Add(PromptSegment.Text(text.ToString()));
            segments.Add(PromptSegment.Eos);
            text.Clear();
        }

        text.Append("ASSISTANT:");
        segments.Add(PromptSegment.Text(text.ToString()));
        return segments;
    }
}
