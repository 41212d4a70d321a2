using System.Globalization;
using Vicuna.Managed.Compression.Vocabulary;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Makes a vocabulary of byte-pair encoding from texts, laid out as SentencePiece's trainer does with byte fallback (google/sentencepiece,
/// <c>src/bpe_model_trainer.cc</c>): <c>&lt;unk&gt;</c>, <c>&lt;s&gt;</c>, <c>&lt;/s&gt;</c>, 256 byte pieces, merged pieces with scores 0, −1, −2, …
/// in the order in which they were found, then single characters by frequency.
/// </summary>
/// <remarks>
/// <para>
/// Each step encodes the texts with the pieces there are, and adds the join of two neighbors that occurs most often. Of joins that occur equally
/// often the one of fewer characters is taken, then the one that comes first by UTF-16 code units. The result depends neither on the order of
/// the texts nor on the machine.
/// </para>
/// <para>
/// A merged piece holds letters (with their marks), or digits, or other characters, and a space, written ▁, in front at most: it never spans
/// two words. Control characters, line breaks among them, are left to the byte pieces.
/// </para>
/// </remarks>
public static class BpeTrainer
{
    private const int ControlPieces = 3;
    private const int ByteValues = 256;
    private const string FileName = "tokenizer.model";

    /// <summary>Makes a vocabulary.</summary>
    /// <param name="texts">What to learn from; each is read once.</param>
    /// <param name="options">The kind of vocabulary; null for the defaults.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The bytes of a <c>tokenizer.model</c>.</returns>
    /// <exception cref="ArgumentException">
    /// A text is null, or the texts give another number of pieces: their characters alone are more, or nothing is left to merge before.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static byte[] Train(IEnumerable<string> texts, BpeTrainerOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        options ??= new BpeTrainerOptions();
        Check(options);
        WordCounter words = new(options.AddDummyPrefix, options.SplitDigits);
        foreach (string text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            words.Add(text ?? throw new ArgumentException("Expected texts, found null.", nameof(texts)));
        }

        string[] characters = words.Characters(options.CharacterCoverage);
        int merges = options.Pieces - ControlPieces - ByteValues - characters.Length;
        if (merges < 0)
        {
            throw new ArgumentException(
                $"Expected at least {options.Pieces - merges} pieces for {characters.Length} characters, {ByteValues} bytes and "
                    + $"{ControlPieces} control pieces, found {options.Pieces}.",
                nameof(options));
        }

        PairMerger merger = new(words.Counts, characters, options.MaxPieceLength);
        List<string> merged = new(merges);
        while (merged.Count < merges)
        {
            cancellationToken.ThrowIfCancellationRequested();
            merged.Add(merger.Next() ?? throw new ArgumentException(
                $"Expected texts that give {options.Pieces} pieces, found nothing left to merge after {options.Pieces - merges + merged.Count}.",
                nameof(texts)));
        }

        return Write([.. merged, .. characters], options);
    }

    private static void Check(BpeTrainerOptions options)
    {
        if (options.Pieces is <= ControlPieces + ByteValues or > SentencePieceModel.MaxPieces)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Pieces, $"Expected {ControlPieces + ByteValues + 1} to {SentencePieceModel.MaxPieces} {nameof(options.Pieces)}.");
        }

        if (!(options.CharacterCoverage is > 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.CharacterCoverage, $"Expected a {nameof(options.CharacterCoverage)} of more than 0 and at most 1.");
        }

        if (options.MaxPieceLength is < 2 or > SentencePieceModel.MaxUserDefinedLength)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.MaxPieceLength, $"Expected a {nameof(options.MaxPieceLength)} of 2 to {SentencePieceModel.MaxUserDefinedLength}.");
        }
    }

    private static byte[] Write(string[] text, BpeTrainerOptions options)
    {
        string[] pieces =
        [
            "<unk>", "<s>", "</s>",
            .. Enumerable.Range(0, ByteValues).Select(value => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>")),
            .. text,
        ];
        const int first = ControlPieces + ByteValues;
        float[] scores = [.. Enumerable.Range(0, pieces.Length).Select(id => id < first ? 0f : -(float)(id - first))];
        int[] types =
        [
            (int)PieceType.Unknown, (int)PieceType.Control, (int)PieceType.Control,
            .. Enumerable.Repeat((int)PieceType.Byte, ByteValues),
            .. Enumerable.Repeat((int)PieceType.Normal, text.Length),
        ];
        SentencePieceOptions written = new() { ByteFallback = true, RemoveExtraWhitespaces = false, AddDummyPrefix = options.AddDummyPrefix };
        return SentencePieceModelWriter.Write(SentencePieceModel.Create(pieces, scores, types, written, FileName));
    }
}
