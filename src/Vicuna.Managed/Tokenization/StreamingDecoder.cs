using System.Buffers;
using System.Text.Unicode;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// Turns ids into text as they come, one at a time. A character is given out once all of its bytes are there, never in part; bytes that are no UTF-8
/// become U+FFFD just as <see cref="System.Text.Encoding.UTF8"/> has it for all bytes together. The concatenation of all results, with that of
/// <see cref="Flush"/> at the end, is the text of all ids. Not safe for concurrent use; allocates nothing once its buffers have grown.
/// </summary>
public sealed class StreamingDecoder
{
    private const char EscapedSpace = '\u2581';

    private readonly SentencePieceTokenizer _tokenizer;
    private readonly bool _stripLeadingSpace;
    private byte[] _bytes = new byte[64];
    private char[] _characters = new char[64];
    private int _pending;
    private bool _atStart;

    /// <summary>A decoder for the ids of a vocabulary.</summary>
    /// <param name="tokenizer">Has the vocabulary.</param>
    /// <param name="stripLeadingSpace">
    /// Whether one space at the very start is left out when it is part of a piece's text (▁): the dummy prefix, or the space between
    /// <c>ASSISTANT:</c> and its answer.
    /// </param>
    public StreamingDecoder(SentencePieceTokenizer tokenizer, bool stripLeadingSpace = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        _stripLeadingSpace = stripLeadingSpace;
        _atStart = true;
    }

    /// <summary>Whether bytes of an unfinished character wait for the next ids.</summary>
    public bool HasPendingBytes => _pending > 0;

    /// <summary>Adds a token.</summary>
    /// <param name="id">Id of its piece.</param>
    /// <returns>The text that is complete by it and has not been given out before, often a word and sometimes nothing; valid until the next call.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no piece <paramref name="id"/>.</exception>
    public ReadOnlySpan<char> Append(int id)
    {
        ReadOnlySpan<byte> bytes = _tokenizer.TextBytes(id);
        if (_atStart && !bytes.IsEmpty)
        {
            // Control pieces are no text, so the start is still to come after them. Where SentencePiece drops extra spaces, it strips
            // one of every piece until there is text.
            bool strip = _stripLeadingSpace && _tokenizer.TypeOf(id) is not (PieceType.Byte or PieceType.Unknown)
                && _tokenizer.PieceText(id)[0] == EscapedSpace;
            bytes = strip ? bytes[1..] : bytes;
            _atStart = strip && bytes.IsEmpty && _tokenizer.RemoveExtraWhitespaces;
        }

        int length = _pending + bytes.Length;
        if (_bytes.Length < length)
        {
            Array.Resize(ref _bytes, Math.Max(length, 2 * _bytes.Length));
        }

        bytes.CopyTo(_bytes.AsSpan(_pending));
        return Decode(length, isEnd: false);
    }

    /// <summary>Adds a token, and writes the text that is complete by it.</summary>
    /// <param name="id">Id of its piece.</param>
    /// <param name="destination">Receives the text.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no piece <paramref name="id"/>.</exception>
    public void Append(int id, IBufferWriter<char> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        destination.Write(Append(id));
    }

    /// <summary>Ends the text.</summary>
    /// <returns>U+FFFD where the bytes of an unfinished character are left over, otherwise nothing; valid until the next call.</returns>
    public ReadOnlySpan<char> Flush() => Decode(_pending, isEnd: true);

    /// <summary>Forgets all ids: the next one is the first.</summary>
    public void Reset()
    {
        _pending = 0;
        _atStart = true;
    }

    private ReadOnlySpan<char> Decode(int length, bool isEnd)
    {
        // No UTF-8 has fewer bytes than it has UTF-16 units, and U+FFFD stands for at least one byte.
        if (_characters.Length < length)
        {
            _characters = new char[Math.Max(length, 2 * _characters.Length)];
        }

        Utf8.ToUtf16(_bytes.AsSpan(0, length), _characters, out int read, out int written, replaceInvalidSequences: true, isFinalBlock: isEnd);
        _pending = length - read;
        _bytes.AsSpan(read, _pending).CopyTo(_bytes);
        return _characters.AsSpan(0, written);
    }
}
