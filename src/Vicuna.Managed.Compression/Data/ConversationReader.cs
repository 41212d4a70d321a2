using System.Text.Json;
using Vicuna.Managed.Chat;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression.Data;

/// <summary>
/// Makes samples of conversations, in a model's own template. Targets are the assistant's answers, each with what ends it. Where an answer begins and ends
/// the template itself tells: it formats the conversation up to the question, and up to the answer, and the difference is the answer.
/// </summary>
internal static class ConversationReader
{
    /// <summary>Whether a record is of this kind.</summary>
    public static bool Fits(JsonElement record) => record.TryGetProperty("conversations", out _) || record.TryGetProperty("messages", out _);

    /// <summary>Makes a record a sample.</summary>
    /// <exception cref="ModelFormatException">A member is missing or of another type, a role is unknown, or roles come in another order than user and assistant in turn.</exception>
    public static void Read(JsonElement record, SentencePieceTokenizer tokenizer, IPromptFormatter formatter, SampleBuilder builder)
    {
        List<ChatMessage> messages = Messages(record);
        int first = messages.Count > 0 && messages[0].Role == ChatRole.System ? 1 : 0;

        // Cut-out pieces of longer conversations often begin with an answer, which has no question (FastChat drops it too).
        if (messages.Count > first && messages[first].Role == ChatRole.Assistant)
        {
            messages.RemoveAt(first);
        }

        for (int i = first; i < messages.Count; i++)
        {
            ChatRole expected = (i - first) % 2 == 0 ? ChatRole.User : ChatRole.Assistant;
            if (messages[i].Role != expected)
            {
                throw new ModelFormatException($"message {i + 1} of those that count: expected the role {expected}, found {messages[i].Role}");
            }
        }

        Encode(messages, first, tokenizer, formatter, builder);
    }

    private static void Encode(List<ChatMessage> messages, int first, SentencePieceTokenizer tokenizer, IPromptFormatter formatter, SampleBuilder builder)
    {
        IReadOnlyList<int> ids = [];
        List<(int Start, int End)> answers = [];
        for (int i = first + 1; i < messages.Count && ids.Count <= builder.Cutoff; i += 2)
        {
            if (messages[i].Content.Length == 0)
            {
                // Templates do not end an answer that is not there: the conversation is used up to it.
                break;
            }

            IReadOnlyList<PromptSegment> question = formatter.Format(messages[..i]);
            int start = PromptEncoder.Encode(tokenizer, question).Count;

            // A question that follows makes the template write the answer in full; an empty one adds the least.
            IReadOnlyList<PromptSegment> answered = formatter.Format([.. messages[..(i + 1)], new ChatMessage(ChatRole.User, "")]);
            ids = PromptEncoder.Encode(tokenizer, [.. answered.Take(EndOfAnswer(question, answered, formatter))]);
            answers.Add((start, ids.Count));
        }

        if (answers.Count == 0)
        {
            builder.AddNothing();
            return;
        }

        builder.Add(ids, i => answers.Any(answer => i >= answer.Start && i < answer.End));
    }

    // Segments up to and with the one that ends the answer; all of them in a template that does not end answers.
    private static int EndOfAnswer(IReadOnlyList<PromptSegment> question, IReadOnlyList<PromptSegment> answered, IPromptFormatter formatter)
    {
        int shared = 0;
        while (shared < question.Count && shared < answered.Count && question[shared] == answered[shared])
        {
            shared++;
        }

        for (int i = shared; i < answered.Count; i++)
        {
            if (answered[i].Kind == PromptSegmentKind.Eos
                || (answered[i].Kind == PromptSegmentKind.Piece && formatter.StopPieces.Contains(answered[i].Value)))
            {
                return i + 1;
            }
        }

        return answered.Count;
    }

    private static List<ChatMessage> Messages(JsonElement record)
    {
        bool isShareGpt = record.OptionalArray("conversations") is not null;
        JsonElement turns = record.OptionalArray(isShareGpt ? "conversations" : "messages")
            ?? throw new ModelFormatException("expected an array 'conversations' or 'messages', found neither");
        (string roleKey, string textKey) = isShareGpt ? ("from", "value") : ("role", "content");
        List<ChatMessage> messages = [];
        foreach (JsonElement turn in turns.EnumerateArray())
        {
            if (turn.ValueKind != JsonValueKind.Object)
            {
                throw new ModelFormatException($"message {messages.Count + 1}: expected an object, found {turn.ValueKind}");
            }

            string role = turn.Text(roleKey);
            messages.Add(new ChatMessage(
                role switch
                {
                    "system" => ChatRole.System,
                    "human" or "user" => ChatRole.User,
                    "gpt" or "assistant" or "chatgpt" => ChatRole.Assistant,
                    _ => throw new ModelFormatException(
                        $"message {messages.Count + 1}: '{roleKey}': expected system, human, user, gpt or assistant, found {ModelFormatException.Quote(role)}"),
                },
                turn.Text(textKey)));
        }

        return messages;
    }
}
