using System.Globalization;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Checkpoints;

/// <summary>
/// A made-up vocabulary of any size in the layout of Llama's: unknown, <c>&lt;s&gt;</c>, <c>&lt;/s&gt;</c>, 256 bytes, characters, words.
/// </summary>
/// <remarks>
/// Words are built of syllables, a consonant and a vowel, in this order: one syllable, ▁ and one, two syllables, ▁ and two, ▁ and three. Only
/// what stands before a word is needed to join it, and whatever pair is joined first, the others follow: so each word, encoded, is its own
/// piece, which makes token counts of made texts as predictable as those of real ones.
/// </remarks>
internal static class SyntheticVocabulary
{
    /// <summary>Fewest pieces: the special ones, the bytes, the printable characters of ASCII and ▁.</summary>
    public const int MinPieces = Specials + Bytes + Characters;

    /// <summary>Most pieces.</summary>
    public const int MaxPieces = SentencePieceModel.MaxPieces;

    /// <summary>Id of <c>&lt;s&gt;</c>.</summary>
    public const int BosId = 1;

    /// <summary>Id of <c>&lt;/s&gt;</c>.</summary>
    public const int EosId = 2;

    private const int Specials = 3;
    private const int Bytes = 256;
    private const int Characters = '~' - ' ' + 1;
    private const char EscapedSpace = '\u2581';
    private const string Consonants = "bcdfghjklmnpqrstvwxyz";
    private const string Vowels = "aeiou";

    // Multipliers without a common factor with the number of pairs and of triples, 105^2 and 105^3: they visit each once, in a mixed order.
    private const int PairStep = 7919;
    private const int TripleStep = 104_729;

    /// <summary>Makes a vocabulary.</summary>
    /// <param name="count">Pieces, <see cref="MinPieces"/> to <see cref="MaxPieces"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public static SentencePieceModel Create(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, MinPieces);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxPieces);
        string[] pieces = [.. Pieces().Take(count)];
        float[] scores = new float[count];
        int[] types = new int[count];
        for (int id = 0; id < count; id++)
        {
            types[id] = (int)(id == 0 ? PieceType.Unknown : id < Specials ? PieceType.Control : id < Specials + Bytes ? PieceType.Byte : PieceType.Normal);
            scores[id] = -Math.Max(0, id - Specials - Bytes);
        }

        SentencePieceOptions options = new() { ByteFallback = true, BosId = BosId, EosId = EosId, RemoveExtraWhitespaces = false };
        return SentencePieceModel.Create(pieces, scores, types, options, "tokenizer.model");
    }

    private static IEnumerable<string> Pieces()
    {
        yield return "<unk>";
        yield return "<s>";
        yield return "</s>";
        for (int value = 0; value < Bytes; value++)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");
        }

        yield return EscapedSpace.ToString();
        for (char c = '!'; c <= '~'; c++)
        {
            yield return c.ToString();
        }

        string[] syllables = [.. Consonants.SelectMany(consonant => Vowels.Select(vowel => $"{consonant}{vowel}"))];
        foreach (string syllable in syllables)
        {
            yield return syllable;
        }

        foreach (string syllable in syllables)
        {
            yield return EscapedSpace + syllable;
        }

        int n = syllables.Length;
        foreach (string prefix in new[] { "", EscapedSpace.ToString() })
        {
            for (long i = 0; i < n * n; i++)
            {
                (long first, long second) = Math.DivRem(i * PairStep % (n * n), n);
                yield return prefix + syllables[first] + syllables[second];
            }
        }

        for (long i = 0; i < n * n * n; i++)
        {
            (long rest, long third) = Math.DivRem(i * TripleStep % (n * n * n), n);
            (long first, long second) = Math.DivRem(rest, n);
            yield return EscapedSpace + syllables[first] + syllables[second] + syllables[third];
        }
    }
}
