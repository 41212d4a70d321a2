using System.Buffers;
using Microsoft.ML.Tokenizers;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// SentencePiece BPE exactly as Llama's own tokenizer has it: the same ids for every text, byte fallback, and control pieces that no text can spell.
/// Immutable and safe for concurrent use.
/// </summary>
/// <remarks>
/// The members of <see cref="Tokenizer"/> put the BOS piece in front where <see cref="AddBos"/> says so, for an empty text too, and count it.
/// Their offsets and normalized text are those of the text with its dummy prefix and ▁ for spaces; without normalization neither is added.
/// There is no pre-tokenization. A limit on tokens never cuts between the bytes of one character.
/// </remarks>
public sealed class SentencePieceTokenizer : Tokenizer
{
    private readonly SentencePieceModel _model;
    private readonly SentencePieceEncoder _encoder;
    private readonly PieceBytes _bytes;

    internal SentencePieceTokenizer(SentencePieceModel model, bool addBos = true)
    {
        _model = model;
        _encoder = new SentencePieceEncoder(model);
        _bytes = new PieceBytes(model);
        AddBos = addBos && BosId is not null;
    }

    /// <summary>The vocabulary itself, for who writes it down.</summary>
    internal SentencePieceModel Model => _model;

    /// <summary>Number of pieces: ids are 0 to one less.</summary>
    public int VocabularySize => _model.Count;

    /// <summary>Id of the piece that begins a sequence, <c>&lt;s&gt;</c>.</summary>
    public int? BosId => Optional(_model.Options.BosId);

    /// <summary>Id of the piece that ends a sequence, <c>&lt;/s&gt;</c>.</summary>
    public int? EosId => Optional(_model.Options.EosId);

    /// <summary>Id of the piece for what the vocabulary cannot spell.</summary>
    public int UnknownId => _model.UnknownId;

    /// <summary>Id of the padding piece.</summary>
    public int? PadId => Optional(_model.Options.PadId);

    /// <summary>Whether a sequence begins with <see cref="BosId"/>: true for Llama, false for a vocabulary without it.</summary>
    public bool AddBos { get; }

    /// <summary>Whether every text that is encoded gets a space in front, so that its first word is like any other.</summary>
    public bool AddDummyPrefix => _model.Options.AddDummyPrefix;

    /// <summary>Whether spaces at both ends are dropped and runs of spaces made one.</summary>
    public bool RemoveExtraWhitespaces => _model.Options.RemoveExtraWhitespaces;

    /// <summary>None: the pieces of a text are found in it as a whole.</summary>
    public override PreTokenizer? PreTokenizer => null;

    /// <summary>None as an object: dummy prefix and spaces are part of encoding.</summary>
    public override Normalizer? Normalizer => null;

    /// <summary>Reads a <c>tokenizer.model</c> file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="ModelFormatException">The file is damaged, or no BPE model without normalization map.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SentencePieceTokenizer Load(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        long length = new FileInfo(path).Length;
        return length <= SentencePieceModel.MaxFileBytes
            ? Load(File.ReadAllBytes(path), path)
            : throw new ModelFormatException(path, $"expected at most {SentencePieceModel.MaxFileBytes} bytes, found {length}", null);
    }

    /// <summary>Reads a <c>tokenizer.model</c> from memory.</summary>
    /// <param name="bytes">Contents of the file.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <exception cref="ModelFormatException">The bytes are damaged, or no BPE model without normalization map.</exception>
    public static SentencePieceTokenizer Load(ReadOnlySpan<byte> bytes, string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return new SentencePieceTokenizer(SentencePieceModel.Read(bytes, name));
    }

    /// <summary>Encodes a text. Empty text has no tokens beside BOS.</summary>
    /// <param name="text">The text; <c>&lt;/s&gt;</c> and the like in it are plain characters, a lone surrogate counts as U+FFFD.</param>
    /// <param name="addBos">Whether <see cref="BosId"/>, where there is one, comes first.</param>
    /// <returns>Ids <c>[T]</c>.</returns>
    public IReadOnlyList<int> Encode(ReadOnlySpan<char> text, bool addBos)
    {
        EncoderWorkspace work = EncoderWorkspace.Rent();
        _encoder.Encode(text, normalize: true, work);
        int[] ids = Ids(work.Tokens, addBos ? BosId : null);
        work.Return();
        return ids;
    }

    /// <summary>Encodes a text into a buffer. Allocates nothing once the calling thread has encoded a text as long.</summary>
    /// <param name="text">The text; <c>&lt;/s&gt;</c> and the like in it are plain characters, a lone surrogate counts as U+FFFD.</param>
    /// <param name="addBos">Whether <see cref="BosId"/>, where there is one, comes first.</param>
    /// <param name="destination">Receives the ids.</param>
    /// <returns>How many ids were written.</returns>
    public int Encode(ReadOnlySpan<char> text, bool addBos, IBufferWriter<int> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        EncoderWorkspace work = EncoderWorkspace.Rent();
        _encoder.Encode(text, normalize: true, work);
        int? bos = addBos ? BosId : null;
        int count = work.Tokens.Length + (bos is null ? 0 : 1);
        if (count > 0)
        {
            Write(work.Tokens, bos, destination.GetSpan(count));
            destination.Advance(count);
        }

        work.Return();
        return count;
    }

    /// <summary>The piece as the vocabulary has it, ▁ for spaces and <c>&lt;0x0A&gt;</c> for a byte.</summary>
    /// <param name="id">Id of the piece.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no piece <paramref name="id"/>.</exception>
    public string PieceText(int id) => _model.Pieces[Checked(id)];

    /// <summary>What the piece is for.</summary>
    /// <param name="id">Id of the piece.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no piece <paramref name="id"/>.</exception>
    public PieceType TypeOf(int id) => _model.Types[Checked(id)];

    /// <summary>Finds a piece, of any type, by its exact text.</summary>
    /// <param name="piece">Text as <see cref="PieceText"/> gives it.</param>
    /// <param name="id">Id of the piece.</param>
    /// <returns>Whether the vocabulary has the piece.</returns>
    public bool TryGetId(ReadOnlySpan<char> piece, out int id) => _model.TryGetId(piece, out id);

    /// <summary>
    /// The text of ids as SentencePiece has it: the space of the dummy prefix is left out once at the start, control pieces are nothing, bytes that
    /// form no UTF-8 become U+FFFD.
    /// </summary>
    /// <param name="ids">Ids <c>[T]</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary does not have one of the ids.</exception>
    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        StreamingDecoder decoder = DecoderOfTexts();
        ArrayBufferWriter<char> text = new();
        foreach (int id in ids)
        {
            decoder.Append(id, text);
        }

        text.Write(decoder.Flush());
        return text.WrittenSpan.ToString();
    }

    /// <summary>The text of ids, as <see cref="Decode(IEnumerable{int})"/>, as far as it fits into a buffer.</summary>
    /// <param name="ids">Ids <c>[T]</c>.</param>
    /// <param name="destination">Receives the text.</param>
    /// <param name="idsConsumed">How many ids are decoded in full; never ends within a character.</param>
    /// <param name="charsWritten">Characters of the text of these ids.</param>
    /// <returns><see cref="OperationStatus.Done"/>, or <see cref="OperationStatus.DestinationTooSmall"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary does not have one of the ids.</exception>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        StreamingDecoder decoder = DecoderOfTexts();
        idsConsumed = 0;
        charsWritten = 0;
        int count = 0;
        int written = 0;
        foreach (int id in ids)
        {
            ReadOnlySpan<char> text = decoder.Append(id);
            if (!text.TryCopyTo(destination[written..]))
            {
                return OperationStatus.DestinationTooSmall;
            }

            count++;
            written += text.Length;
            if (!decoder.HasPendingBytes)
            {
                idsConsumed = count;
                charsWritten = written;
            }
        }

        ReadOnlySpan<char> rest = decoder.Flush();
        if (!rest.TryCopyTo(destination[written..]))
        {
            return OperationStatus.DestinationTooSmall;
        }

        idsConsumed = count;
        charsWritten = written + rest.Length;
        return OperationStatus.Done;
    }

    /// <summary>What piece <paramref name="id"/> decodes to: UTF-8, or a part of it where a character takes several pieces; nothing for control pieces.</summary>
    /// <param name="id">Id of the piece.</param>
    /// <returns>The bytes <c>[N]</c>; they stay valid.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no piece <paramref name="id"/>.</exception>
    public ReadOnlySpan<byte> TextBytes(int id) => _bytes[Checked(id)];

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        EncoderWorkspace work = Encode(text, textSpan, settings, out int? bos);
        int count = CountThatFit(work.Tokens, bos, settings.MaxTokenCount);
        List<EncodedToken> tokens = new(count + 1);
        if (bos is int first && settings.MaxTokenCount > 0)
        {
            tokens.Add(new EncodedToken(first, PieceText(first), new Range(0, 0)));
        }

        foreach (Token token in work.Tokens[..count])
        {
            tokens.Add(new EncodedToken(token.Id, PieceText(token.Id), new Range(token.Start, token.End)));
        }

        EncodeResults<EncodedToken> results = new()
        {
            Tokens = tokens,
            NormalizedText = settings.ConsiderNormalization ? work.Text.ToString() : null,
            CharsConsumed = Consumed(work.Tokens, count),
        };
        work.Return();
        return results;
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        EncoderWorkspace work = Encode(text, textSpan, settings, out int? bos);
        int count = CountThatFit(work.Tokens, bos, settings.MaxTokenCount);
        EncodeResults<int> results = new()
        {
            Tokens = Ids(work.Tokens[..count], settings.MaxTokenCount > 0 ? bos : null),
            NormalizedText = settings.ConsiderNormalization ? work.Text.ToString() : null,
            CharsConsumed = Consumed(work.Tokens, count),
        };
        work.Return();
        return results;
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        EncoderWorkspace work = Encode(text, textSpan, settings, out int? bos);
        int count = CountThatFit(work.Tokens, bos, settings.MaxTokenCount) + (bos is not null && settings.MaxTokenCount > 0 ? 1 : 0);
        work.Return();
        return count;
    }

    /// <inheritdoc/>
    protected override int GetIndexByTokenCount(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings, bool fromEnd, out string? normalizedText, out int tokenCount)
    {
        EncoderWorkspace work = Encode(text, textSpan, settings, out int? bos);
        ReadOnlySpan<Token> tokens = work.Tokens;
        int limit = Math.Max(settings.MaxTokenCount, 0);
        int index;
        if (fromEnd)
        {
            // BOS is the farthest from the end: it takes part when all others fit.
            int first = Math.Max(tokens.Length - limit, 0);
            while (first > 0 && first < tokens.Length && tokens[first].Start == tokens[first - 1].Start)
            {
                first++;
            }

            tokenCount = tokens.Length - first + (bos is not null && tokens.Length < limit ? 1 : 0);
            index = first == 0 ? 0 : first < tokens.Length ? tokens[first].Start : work.Text.Length;
        }
        else
        {
            int count = CountThatFit(tokens, bos, limit);
            tokenCount = count + (bos is not null && limit > 0 ? 1 : 0);
            index = Consumed(tokens, count);
        }

        normalizedText = settings.ConsiderNormalization ? work.Text.ToString() : null;
        work.Return();
        return index;
    }

    private static int? Optional(int id) => id < 0 ? null : id;

    private static int[] Ids(ReadOnlySpan<Token> tokens, int? bos)
    {
        int[] ids = new int[tokens.Length + (bos is null ? 0 : 1)];
        Write(tokens, bos, ids);
        return ids;
    }

    private static void Write(ReadOnlySpan<Token> tokens, int? bos, Span<int> ids)
    {
        int at = 0;
        if (bos is int first)
        {
            ids[at++] = first;
        }

        foreach (Token token in tokens)
        {
            ids[at++] = token.Id;
        }
    }

    private static int CountThatFit(ReadOnlySpan<Token> tokens, int? bos, int limit)
    {
        limit = Math.Max(limit - (bos is null ? 0 : 1), 0);
        if (tokens.Length <= limit)
        {
            return tokens.Length;
        }

        while (limit > 0 && tokens[limit].Start == tokens[limit - 1].Start)
        {
            limit--;
        }

        return limit;
    }

    private static int Consumed(ReadOnlySpan<Token> tokens, int count) => count == 0 ? 0 : tokens[count - 1].End;

    private EncoderWorkspace Encode(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings, out int? bos)
    {
        EncoderWorkspace work = EncoderWorkspace.Rent();
        _encoder.Encode(text is null ? textSpan : text, settings.ConsiderNormalization, work);
        bos = AddBos ? BosId : null;
        return work;
    }

    private StreamingDecoder DecoderOfTexts() => new(this, AddDummyPrefix || RemoveExtraWhitespaces);

    private int Checked(int id) => (uint)id < (uint)_model.Count
        ? id
        : throw new ArgumentOutOfRangeException(nameof(id), $"Expected an id of the vocabulary of {_model.Count} pieces, 0 to {_model.Count - 1}, found {id}.");
}
