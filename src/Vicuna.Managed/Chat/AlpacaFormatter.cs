namespace Vicuna.Managed.Chat;

/// <summary>Alpaca (tatsu-lab/stanford_alpaca, <c>train.py</c>, "prompt_no_input").</summary>
internal sealed class AlpacaFormatter : IPromptFormatter
{
    private const string DefaultSystem = "Below is an instruction that describes a task. Write a response that appropriately completes the request.";

    /// <inheritdoc/>
    public IReadOnlyList<string> StopStrings { get; } = ["### Instruction:"];

    /// <inheritdoc/>
    public IReadOnlyList<string> StopPieces => [];

    /// <inheritdoc/>
    public IReadOnlyList<PromptSegment> Format(IReadOnlyList<ChatMessage> messages)
    {
        Conversation conversation = Conversation.Check(messages);
        List<PromptSegment> segments = [PromptSegment.Bos];
        string start = $"{conversation.System ?? DefaultSystem}\n\n";
        for (int i = 0; i < conversation.Turns.Count; i += 2)
        {
            bool isAnswered = i + 1 < conversation.Turns.Count;
            string answer = isAnswered ? conversation.Turns[i + 1] : "";
            segments.Add(PromptSegment.Text($"{start}### Instruction:\n{conversation.Turns[i]}\n\n### Response:{answer}"));
            if (isAnswered)
            {
                segments.Add(PromptSegment.Eos);
            }

            start = "";
        }

        return segments;
    }
}
