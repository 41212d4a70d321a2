using System.Text;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.AspNetCore.Endpoints;

/// <summary>A token of an answer, and its place in the answer's text.</summary>
/// <param name="Token">The token and its log-probability.</param>
/// <param name="Offset">Characters of the text that are complete before it: the pieces of one character have the same.</param>
/// <param name="HasTemplateSpace">Whether a space that its text begins with belongs to the template, and so is no part of the answer.</param>
internal readonly record struct AnswerToken(TokenLogProbability Token, int Offset, bool HasTemplateSpace)
{
    // As SentencePiece writes a space.
    private const char EscapedSpace = '\u2581';

    /// <summary>Bytes of a token at this one's place, which it or another could have; empty for what is no text.</summary>
    public ReadOnlySpan<byte> BytesOf(SentencePieceTokenizer tokenizer, int id)
    {
        if (!HasPiece(tokenizer, id))
        {
            return [];
        }

        ReadOnlySpan<byte> bytes = tokenizer.TextBytes(id);
        bool isSpaced = HasTemplateSpace && !bytes.IsEmpty && tokenizer.TypeOf(id) is not (PieceType.Byte or PieceType.Unknown) && tokenizer.PieceText(id)[0] == EscapedSpace;
        return isSpaced ? bytes[1..] : bytes;
    }

    /// <summary>Text of a token at this one's place. A control piece has none; its name tells which it is. A part of a character is U+FFFD.</summary>
    public string TextOf(SentencePieceTokenizer tokenizer, int id) =>
        HasPiece(tokenizer, id) && tokenizer.TypeOf(id) == PieceType.Control ? tokenizer.PieceText(id) : Encoding.UTF8.GetString(BytesOf(tokenizer, id));

    /// <summary>Whether a token has a piece. Many models have more ids than their tokenizer has pieces, for the sake of round sizes.</summary>
    public static bool HasPiece(SentencePieceTokenizer tokenizer, int id) => id < tokenizer.VocabularySize;
}
