using Vicuna.Managed.Chat;
using Vicuna.Managed.Tokenization;

namespace PicoVicunaSample;

/// <summary>One text of the corpus, as it is encoded: a conversation in Vicuna's template, or a story on its own.</summary>
/// <param name="Segments">Texts and control tokens, from BOS to EOS.</param>
internal sealed record Document(IReadOnlyList<PromptSegment> Segments)
{
    /// <summary>The texts between control tokens.</summary>
    public IEnumerable<string> Texts => Segments.Where(segment => segment.Kind == PromptSegmentKind.Text).Select(segment => segment.Value);

    /// <summary>A text on its own.</summary>
    public static Document Of(string text) => new([PromptSegment.Bos, PromptSegment.Text(text), PromptSegment.Eos]);

    /// <summary>A conversation whose last message is the assistant's.</summary>
    /// <param name="messages">The messages, a system message first or none.</param>
    public static Document Of(IReadOnlyList<ChatMessage> messages)
    {
        // A template ends with what the assistant is to answer: after the last answer that is one question too many, which is cut off again.
        IReadOnlyList<PromptSegment> segments = PromptTemplates.Vicuna.Format([.. messages, new ChatMessage(ChatRole.User, "?")]);
        int end = segments.Count - 1;
        while (segments[end].Kind != PromptSegmentKind.Eos)
        {
            end--;
        }

        return new Document([.. segments.Take(end + 1)]);
    }

    /// <summary>The ids.</summary>
    public int[] Encode(SentencePieceTokenizer tokenizer) => [.. PromptEncoder.Encode(tokenizer, Segments)];

    /// <summary>As people read it: one line.</summary>
    public override string ToString() => string.Concat(Segments.Select(segment => segment.Kind switch
    {
        PromptSegmentKind.Bos => "<s> ",
        PromptSegmentKind.Eos => "</s> ",
        _ => segment.Value,
    })).TrimEnd();
}
