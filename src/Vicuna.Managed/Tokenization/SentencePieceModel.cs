using System.Globalization;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// A checked SentencePiece BPE vocabulary. Everything that encoding and decoding rely on has been verified: pieces are distinct, well-formed
/// and not empty, scores finite, there is one unknown piece, byte pieces are complete and in order, special ids name pieces.
/// </summary>
internal sealed class SentencePieceModel
{
    /// <summary>Largest file that is read, in bytes; Llama's is half a megabyte.</summary>
    internal const int MaxFileBytes = 64 << 20;

    /// <summary>Most pieces in a vocabulary.</summary>
    internal const int MaxPieces = 1_000_000;

    // Every position of a text is compared with the user-defined pieces: their length bounds that work. Real ones are tags and runs of spaces.
    internal const int MaxUserDefinedLength = 1000;

    private const int ByteValues = 256;

    private readonly string[] _pieces;
    private readonly float[] _scores;
    private readonly PieceType[] _types;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;

    private SentencePieceModel(
        string[] pieces, float[] scores, PieceType[] types, Dictionary<string, int> ids, int unknownId, int firstByteId, SentencePieceOptions options)
    {
        _pieces = pieces;
        _scores = scores;
        _types = types;
        _ids = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        UnknownId = unknownId;
        FirstByteId = firstByteId;
        Options = options;
    }

    /// <summary>Number of pieces.</summary>
    public int Count => _pieces.Length;

    /// <summary>Texts of the pieces, by id; ▁ for a space.</summary>
    public ReadOnlySpan<string> Pieces => _pieces;

    /// <summary>Merge priorities of the pieces, by id; the greatest merges first.</summary>
    public ReadOnlySpan<float> Scores => _scores;

    /// <summary>Types of the pieces, by id.</summary>
    public ReadOnlySpan<PieceType> Types => _types;

    /// <summary>Id of the one unknown piece.</summary>
    public int UnknownId { get; }

    /// <summary>Id of <c>&lt;0x00&gt;</c>, which the other 255 byte pieces follow; −1 without byte fallback.</summary>
    public int FirstByteId { get; }

    /// <summary>Special ids and normalization.</summary>
    public SentencePieceOptions Options { get; }

    /// <summary>Reads a <c>tokenizer.model</c>.</summary>
    /// <exception cref="ModelFormatException">The bytes are damaged, or of a kind that is not supported.</exception>
    public static SentencePieceModel Read(ReadOnlySpan<byte> bytes, string fileName) => SentencePieceReader.Read(bytes, fileName);

    /// <summary>Makes a model of a vocabulary from another file, such as the <c>tokenizer.ggml</c> keys of a GGUF file.</summary>
    /// <param name="pieces">Texts <c>[V]</c>, which the model keeps.</param>
    /// <param name="scores">Merge priorities <c>[V]</c>, which the model keeps.</param>
    /// <param name="types">Types <c>[V]</c> as <see cref="PieceType"/> numbers.</param>
    /// <param name="options">
    /// Special ids and normalization. For GGUF: byte fallback where there are byte pieces, and its own default of keeping extra spaces.
    /// </param>
    /// <param name="fileName">The file's name, for messages.</param>
    /// <exception cref="ModelFormatException">The vocabulary is damaged.</exception>
    /// <remarks>
    /// User-defined pieces that are a special id, or are written <c>&lt;|…|&gt;</c>, become control pieces: SentencePiece itself would make
    /// them out of a user's text, and a user could then end a turn or open the system's.
    /// </remarks>
    public static SentencePieceModel Create(string[] pieces, float[] scores, ReadOnlySpan<int> types, SentencePieceOptions options, string fileName)
    {
        if (pieces.Length is 0 or > MaxPieces || scores.Length != pieces.Length || types.Length != pieces.Length)
        {
            throw new ModelFormatException(
                fileName,
                $"expected 1 to {MaxPieces} pieces with a score and a type each, found {pieces.Length} pieces, {scores.Length} scores, {types.Length} types",
                "pieces");
        }

        Dictionary<string, int> ids = new(pieces.Length);
        PieceType[] checkedTypes = new PieceType[pieces.Length];
        int unknownId = -1;
        long characters = 0;
        for (int id = 0; id < pieces.Length; id++)
        {
            checkedTypes[id] = CheckPiece(id, pieces[id], scores[id], types[id], options, fileName);
            characters += pieces[id].Length;
            if (characters > MaxFileBytes)
            {
                throw new ModelFormatException(fileName, $"expected pieces of at most {MaxFileBytes} characters in all, found more", Name(id));
            }

            if (!ids.TryAdd(pieces[id], id))
            {
                string piece = ModelFormatException.Quote(pieces[id]);
                throw new ModelFormatException(fileName, $"expected distinct pieces, found {piece} at {ids[pieces[id]]} also", Name(id));
            }

            if (checkedTypes[id] == PieceType.Unknown)
            {
                unknownId = unknownId < 0 ? id : throw new ModelFormatException(fileName, $"expected one unknown piece, found {unknownId} and {id}", Name(id));
            }
        }

        if (unknownId < 0)
        {
            throw new ModelFormatException(fileName, $"expected one unknown piece, found none in {pieces.Length}", "pieces");
        }

        CheckId(options.UnknownId, "unk_id", checkedTypes, fileName);
        CheckSequenceMark(options.BosId, "bos_id", checkedTypes, fileName);
        CheckSequenceMark(options.EosId, "eos_id", checkedTypes, fileName);
        CheckId(options.PadId, "pad_id", checkedTypes, fileName);
        if (options.PadId >= 0 && checkedTypes[options.PadId] == PieceType.UserDefined)
        {
            checkedTypes[options.PadId] = PieceType.Control;
        }

        int firstByteId = options.ByteFallback ? FindBytes(pieces, checkedTypes, fileName) : -1;
        return new SentencePieceModel(pieces, scores, checkedTypes, ids, unknownId, firstByteId, options);
    }

    /// <summary>Finds the piece, of any type, with exactly this text.</summary>
    public bool TryGetId(ReadOnlySpan<char> piece, out int id) => _ids.TryGetValue(piece, out id);

    private static string Name(int id) => string.Create(CultureInfo.InvariantCulture, $"pieces[{id}]");

    private static PieceType CheckPiece(int id, string piece, float score, int type, SentencePieceOptions options, string fileName)
    {
        if (piece.Length == 0)
        {
            throw new ModelFormatException(fileName, "expected a text, found an empty piece", Name(id));
        }

        if (!Surrogates.AreWellFormed(piece))
        {
            throw new ModelFormatException(fileName, "expected Unicode text, found half a surrogate pair", Name(id));
        }

        if (!float.IsFinite(score))
        {
            throw new ModelFormatException(fileName, string.Create(CultureInfo.InvariantCulture, $"expected a finite score, found {score}"), Name(id));
        }

        if (type is < (int)PieceType.Normal or > (int)PieceType.Byte)
        {
            throw new ModelFormatException(fileName, $"expected a type from {(int)PieceType.Normal} to {(int)PieceType.Byte}, found {type}", Name(id));
        }

        if ((PieceType)type == PieceType.Byte && !options.ByteFallback)
        {
            throw new ModelFormatException(fileName, "expected no byte piece, as byte_fallback is off, found one", Name(id));
        }

        if ((PieceType)type != PieceType.UserDefined)
        {
            return (PieceType)type;
        }

        if (piece.Length > MaxUserDefinedLength)
        {
            throw new ModelFormatException(
                fileName, $"expected at most {MaxUserDefinedLength} characters in a user-defined piece, found {piece.Length}", Name(id));
        }

        return piece.Length > 4 && piece.StartsWith("<|", StringComparison.Ordinal) && piece.EndsWith("|>", StringComparison.Ordinal)
            ? PieceType.Control
            : PieceType.UserDefined;
    }

    private static void CheckId(int id, string item, PieceType[] types, string fileName)
    {
        if (id < -1 || id >= types.Length)
        {
            throw new ModelFormatException(fileName, $"expected -1 or a piece from 0 to {types.Length - 1}, found {id}", item);
        }
    }

    private static void CheckSequenceMark(int id, string item, PieceType[] types, string fileName)
    {
        CheckId(id, item, types, fileName);
        if (id < 0)
        {
            return;
        }

        // A mark that text could spell would let a user's text begin or end a sequence.
        types[id] = types[id] is PieceType.Control or PieceType.UserDefined
            ? PieceType.Control
            : throw new ModelFormatException(fileName, $"expected a control piece, found piece {id} of type {(int)types[id]}", item);
    }

    private static int FindBytes(string[] pieces, PieceType[] types, string fileName)
    {
        int first = Array.IndexOf(types, PieceType.Byte);
        int count = types.AsSpan().Count(PieceType.Byte);
        if (count != ByteValues)
        {
            throw new ModelFormatException(fileName, $"expected {ByteValues} byte pieces, as byte_fallback is on, found {count}", "pieces");
        }

        for (int value = 0; value < ByteValues; value++)
        {
            int id = first + value;
            string expected = string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");
            if (id >= pieces.Length || types[id] != PieceType.Byte || pieces[id] != expected)
            {
                string found = id < pieces.Length ? $"{ModelFormatException.Quote(pieces[id])} of type {(int)types[id]}" : "the end";
                throw new ModelFormatException(fileName, $"expected byte piece '{expected}', found {found}", Name(id));
            }
        }

        return first;
    }
}
