using System.Globalization;
using System.Text;

namespace Vicuna.Managed.Compression.Vocabulary;

/// <summary>
/// Cuts texts into words, within which pieces are merged, and counts them: runs of letters, of digits or of other characters, with a space,
/// written ▁, in front at most.
/// </summary>
/// <param name="addDummyPrefix">Whether every text gets a space in front.</param>
/// <param name="splitDigits">Whether every digit is a word of its own.</param>
internal sealed class WordCounter(bool addDummyPrefix, bool splitDigits)
{
    private const char Space = '\u2581';

    private readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);
    private readonly StringBuilder _word = new();

    private enum Kind
    {
        Letter,
        Digit,
        Other,
    }

    /// <summary>How often each word was seen.</summary>
    public IReadOnlyDictionary<string, long> Counts => _counts;

    /// <summary>Counts a text's words. Halves of surrogate pairs count as U+FFFD, which is what encoding makes of them.</summary>
    public void Add(string text)
    {
        bool space = addDummyPrefix && text.Length > 0;
        Kind kind = Kind.Other;
        foreach (Rune rune in text.EnumerateRunes())
        {
            Kind next = KindOf(rune);
            bool isSpace = rune.Value is ' ' or Space;
            bool isAlone = isSpace || Rune.IsControl(rune) || (splitDigits && next == Kind.Digit);
            if (isAlone || space || next != kind)
            {
                End();
            }

            if (space)
            {
                _word.Append(Space);
            }

            space = isSpace;
            kind = next;
            if (!isAlone)
            {
                _word.Append(rune);
                continue;
            }

            End();
            if (!isSpace && !Rune.IsControl(rune))
            {
                _word.Append(rune);
                End();
            }
        }

        End();
        if (space)
        {
            _word.Append(Space);
            End();
        }
    }

    /// <summary>
    /// The most frequent characters that make up a share of all, ▁ among them, by falling frequency; equally frequent ones by code point.
    /// </summary>
    /// <param name="coverage">The share, 0 to 1.</param>
    public string[] Characters(double coverage)
    {
        Dictionary<Rune, long> frequencies = [];
        long all = 0;
        foreach ((string word, long count) in _counts)
        {
            foreach (Rune rune in word.EnumerateRunes())
            {
                frequencies[rune] = frequencies.GetValueOrDefault(rune) + count;
                all += count;
            }
        }

        List<string> characters = [];
        long covered = 0;
        foreach ((Rune rune, long count) in frequencies.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key))
        {
            if (covered >= coverage * all)
            {
                break;
            }

            characters.Add(rune.ToString());
            covered += count;
        }

        return [.. characters];
    }

    private static Kind KindOf(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.DecimalDigitNumber => Kind.Digit,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => Kind.Letter,
        _ => Rune.IsLetter(rune) ? Kind.Letter : Kind.Other,
    };

    private void End()
    {
        if (_word.Length > 0)
        {
            string word = _word.ToString();
            _counts[word] = _counts.GetValueOrDefault(word) + 1;
            _word.Clear();
        }
    }
}
