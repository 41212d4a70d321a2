namespace Vicuna.Managed.Chat;

/// <summary>Llama 2 chat (meta-llama/llama, <c>llama/generation.py</c>, <c>chat_completion</c>).</summary>
internal sealed class Llama2Formatter : IPromptFormatter
{
    /// <inheritdoc/>
    public IReadOnlyList<string> StopStrings => [];

    /// <inheritdoc/>
    public IReadOnlyList<string> StopPieces => [];

    /// <inheritdoc/>
    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        Conversation conversation = Conversation.Check(messages);
        List<PromptSegment> segments = [];
        string system = conversation.System is null ? "" : $"<<SYS>>\n{conversation.System}\n<</SYS>>\n\n";
        for (int i = 0; i < conversation.Turns.Count; i += 2)
        {
            string question = $"[INST] {(system + conversation.Turns[i]).Trim()} [/INST]";
            system = "";
            segments.Add(PromptSegment.Bos);
            if (i + 1 < conversation.Turns.Count)
            {
                segments.Add(PromptSegment.Text($"{question} {conversation.Turns[i + 1].Trim()} "));
                segments.Add(PromptSegment.Eos);
            }
            else
            {
                segments.Add(PromptSegment.Text(question));
            }
        }

        return segments;
    }
}
