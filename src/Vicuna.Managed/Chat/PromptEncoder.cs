using System.Buffers;
using System.Text;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Chat;

/// <summary>Turns the segments of a prompt into ids.</summary>
public static class PromptEncoder
{
    /// <summary>
    /// Encodes segments one by one, each text with the vocabulary's dummy prefix, as Hugging Face's Llama tokenizer does around control tokens in its
    /// "legacy" mode, the one that Vicuna is used with.
    /// </summary>
    /// <param name="tokenizer">Has the vocabulary.</param>
    /// <param name="segments">The prompt. BOS is left out where the tokenizer's <see cref="SentencePieceTokenizer.AddBos"/> is false.</param>
    /// <returns>Ids <c>[T]</c>.</returns>
    /// <exception cref="ArgumentException">A segment is EOS and the vocabulary has none, or is of no known kind.</exception>
    public static IReadOnlyList<int> Encode(SentencePieceTokenizer tokenizer, IReadOnlyList<PromptSegment> segments)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(segments);
        ArrayBufferWriter<int> ids = new();
        StringBuilder text = new();
        bool joinNext = false;
        for (int i = 0; i < segments.Count; i++)
        {
            PromptSegment segment = segments[i];
            switch (segment.Kind)
            {
                case PromptSegmentKind.Text:
                    if (!joinNext)
                    {
                        EncodeText(tokenizer, text, ids);
                    }

                    text.Append(segment.Value);
                    joinNext = false;
                    break;
                case PromptSegmentKind.Piece when tokenizer.TryGetId(segment.Value, out int id) && tokenizer.TypeOf(id) == PieceType.Control:
                    EncodeText(tokenizer, text, ids);
                    ids.Write([id]);
                    break;
                case PromptSegmentKind.Piece:
                    text.Append(segment.Value);
                    joinNext = true;
                    break;
                case PromptSegmentKind.Bos:
                    EncodeText(tokenizer, text, ids);
                    ids.Write(tokenizer.AddBos ? [tokenizer.BosId!.Value] : []);
                    break;
                case PromptSegmentKind.Eos:
                    EncodeText(tokenizer, text, ids);
                    ids.Write([
                        tokenizer.EosId ?? throw new ArgumentException($"Segment {i}: expected an EOS piece in the vocabulary, found none.", nameof(segments)),
                    ]);
                    break;
                default:
                    throw new ArgumentException($"Segment {i}: expected a known kind, found {(int)segment.Kind}.", nameof(segments));
            }
        }

        EncodeText(tokenizer, text, ids);
        return ids.WrittenSpan.ToArray();
    }

    private static void EncodeText(SentencePieceTokenizer tokenizer, StringBuilder text, ArrayBufferWriter<int> ids)
    {
        tokenizer.Encode(text.ToString(), addBos: false, ids);
        text.Clear();
    }
}
