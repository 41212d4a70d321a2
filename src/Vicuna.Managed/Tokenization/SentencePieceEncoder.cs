using System.Text;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// SentencePiece's BPE, to the id (google/sentencepiece, <c>normalizer.cc</c> and <c>bpe_model.cc</c> for the rules): the text is normalized
/// and cut into characters, the adjacent pair that makes the piece of the best score is joined, the leftmost of equals first, until none is left.
/// Takes O(n log n) for n characters, times the length of the longest piece at worst. Immutable, so safe to share between threads.
/// </summary>
internal sealed class SentencePieceEncoder
{
    private const char EscapedSpace = '\u2581';

    private readonly SentencePieceModel _model;
    private readonly uint[] _ranks;
    private readonly int _longestPiece;
    private readonly UserDefinedPieces? _userDefined;

    /// <summary>An encoder for the vocabulary of <paramref name="model"/>.</summary>
    public SentencePieceEncoder(SentencePieceModel model)
    {
        _model = model;
        _ranks = Rank(model.Scores);
        _userDefined = UserDefinedPieces.Of(model);
        for (int id = 0; id < model.Count; id++)
        {
            _longestPiece = IsText(id) ? Math.Max(_longestPiece, model.Pieces[id].Length) : _longestPiece;
        }
    }

    /// <summary>Encodes a text into <see cref="EncoderWorkspace.Tokens"/>, without any control piece.</summary>
    /// <param name="text">Characters <c>[n]</c>; a lone surrogate counts as U+FFFD.</param>
    /// <param name="normalize">Whether the model's dummy prefix and treatment of spaces apply; otherwise the text is taken as normalized.</param>
    /// <param name="work">Holds the normalized text and the tokens afterwards.</param>
    public void Encode(ReadOnlySpan<char> text, bool normalize, EncoderWorkspace work)
    {
        if (normalize)
        {
            Normalize(text, work);
        }
        else
        {
            text.CopyTo(work.ResizeText(text.Length));
        }

        Surrogates.Repair(work.Text);
        if (work.Text.IsEmpty)
        {
            return;
        }

        Span<EncoderWorkspace.Symbol> symbols = work.Symbols();
        symbols = symbols[..Split(work.Text, symbols)];
        Join(work, symbols);
        for (int at = 0; at >= 0; at = symbols[at].Next)
        {
            Write(work, symbols[at]);
        }

        // Only vocabularies with unused pieces, which are rare, ever fill it.
        if (work.Splits.Count > 0)
        {
            work.Splits.Clear();
        }
    }

    // Equal scores get equal ranks; the best score gets rank 0.
    private static uint[] Rank(ReadOnlySpan<float> scores)
    {
        float[] sorted = scores.ToArray();
        int[] ids = new int[sorted.Length];
        for (int id = 0; id < ids.Length; id++)
        {
            ids[id] = id;
        }

        Array.Sort(sorted, ids);
        uint[] ranks = new uint[sorted.Length];
        uint rank = 0;
        for (int i = sorted.Length - 1; i >= 0; i--)
        {
            if (i < sorted.Length - 1 && sorted[i] != sorted[i + 1])
            {
                rank++;
            }

            ranks[ids[i]] = rank;
        }

        return ranks;
    }

    private bool IsText(int id) => _model.Types[id] is PieceType.Normal or PieceType.UserDefined or PieceType.Unused;

    private int FindText(ReadOnlySpan<char> piece) => piece.Length <= _longestPiece && _model.TryGetId(piece, out int id) && IsText(id) ? id : -1;

    private void Normalize(ReadOnlySpan<char> text, EncoderWorkspace work)
    {
        SentencePieceOptions options = _model.Options;
        char space = options.EscapeWhitespaces ? EscapedSpace : ' ';
        if (options.RemoveExtraWhitespaces)
        {
            text = text.TrimStart(' ');
        }

        int prefix = options.AddDummyPrefix && !text.IsEmpty ? 1 : 0;
        Span<char> normalized = work.ResizeText(text.Length + prefix);
        if (prefix == 1)
        {
            normalized[0] = space;
        }

        if (!options.RemoveExtraWhitespaces)
        {
            text.Replace(normalized[prefix..], ' ', space);
            return;
        }

        int length = prefix;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != ' ')
            {
                normalized[length++] = text[i];
            }
            else if (text[i - 1] != ' ')
            {
                normalized[length++] = space;
            }
        }

        work.TrimText(normalized[..length].TrimEnd(space).Length);
    }

    private int Split(ReadOnlySpan<char> text, Span<EncoderWorkspace.Symbol> symbols)
    {
        int count = 0;
        for (int start = 0; start < text.Length; count++)
        {
            int length = _userDefined?.LongestPrefix(text[start..]) ?? 0;
            if (length == 0)
            {
                length = char.IsHighSurrogate(text[start]) ? 2 : 1;
            }

            symbols[count] = new EncoderWorkspace.Symbol
            {
                Start = start,
                Length = length,
                Previous = count - 1,
                Next = count + 1,
                Id = FindText(text.Slice(start, length)),
            };
            start += length;
        }

        symbols[count - 1].Next = -1;
        return count;
    }

    private void Join(EncoderWorkspace work, Span<EncoderWorkspace.Symbol> symbols)
    {
        ReadOnlySpan<char> text = work.Text;
        for (int left = 0; left < symbols.Length - 1; left++)
        {
            Propose(work, text, symbols, left);
        }

        while (work.TryPop(out EncoderWorkspace.Merge merge))
        {
            ref EncoderWorkspace.Symbol left = ref symbols[merge.Left];
            if (left.Length == 0 || left.Next < 0 || left.Length + symbols[left.Next].Length != merge.Length)
            {
                continue;
            }

            ref EncoderWorkspace.Symbol right = ref symbols[left.Next];
            left.Length = merge.Length;
            left.Id = merge.Id;
            left.Next = right.Next;
            right.Length = 0;
            if (left.Next >= 0)
            {
                symbols[left.Next].Previous = merge.Left;
            }

            if (left.Previous >= 0)
            {
                Propose(work, text, symbols, left.Previous);
            }

            Propose(work, text, symbols, merge.Left);
        }
    }

    private void Propose(EncoderWorkspace work, ReadOnlySpan<char> text, ReadOnlySpan<EncoderWorkspace.Symbol> symbols, int leftIndex)
    {
        ref readonly EncoderWorkspace.Symbol left = ref symbols[leftIndex];
        if (left.Next < 0 || IsUserDefined(left.Id) || IsUserDefined(symbols[left.Next].Id))
        {
            return;
        }

        int length = left.Length + symbols[left.Next].Length;
        int id = FindText(text.Slice(left.Start, length));
        if (id < 0)
        {
            return;
        }

        work.Push(new EncoderWorkspace.Merge(((ulong)_ranks[id] << 32) | (uint)leftIndex, length, id));
        if (_model.Types[id] == PieceType.Unused)
        {
            // SentencePiece keeps the latest parts for the whole text. They are the same each time: merging within a piece knows no context.
            work.Splits[id] = left.Length;
        }
    }

    private bool IsUserDefined(int id) => id >= 0 && _model.Types[id] == PieceType.UserDefined;

    private void Write(EncoderWorkspace work, in EncoderWorkspace.Symbol symbol)
    {
        Token token = new(symbol.Id, symbol.Start, symbol.Start + symbol.Length);
        if (!TrySplit(work, token))
        {
            WritePart(work, token);
            return;
        }

        // A stack of our own: how often a piece is split is up to the file.
        while (work.Parts.TryPop(out Token part))
        {
            if (!TrySplit(work, part))
            {
                WritePart(work, part);
            }
        }
    }

    private bool TrySplit(EncoderWorkspace work, Token token)
    {
        // An unused piece that is a single character was never made by merging: SentencePiece lets it stand.
        if (token.Id < 0 || _model.Types[token.Id] != PieceType.Unused || !work.Splits.TryGetValue(token.Id, out int leftLength))
        {
            return false;
        }

        int middle = token.Start + leftLength;
        work.Parts.Push(new Token(FindText(work.Text[middle..token.End]), middle, token.End));
        work.Parts.Push(new Token(FindText(work.Text[token.Start..middle]), token.Start, middle));
        return true;
    }

    private void WritePart(EncoderWorkspace work, Token token)
    {
        if (token.Id >= 0)
        {
            work.Add(token.Id, token.Start, token.End);
        }
        else if (_model.FirstByteId < 0)
        {
            work.AddUnknown(_model.UnknownId, token.Start, token.End);
        }
        else
        {
            Span<byte> utf8 = stackalloc byte[4];
            int count = Encoding.UTF8.GetBytes(work.Text[token.Start..token.End], utf8);
            foreach (byte value in utf8[..count])
            {
                work.Add(_model.FirstByteId + value, token.Start, token.End);
            }
        }
    }
}
