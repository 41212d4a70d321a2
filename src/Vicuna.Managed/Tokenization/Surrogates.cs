namespace Vicuna.Managed.Tokenization;

/// <summary>Halves of surrogate pairs that stand alone: no character, so no UTF-8.</summary>
internal static class Surrogates
{
    /// <summary>Whether every surrogate stands in a pair.</summary>
    public static bool AreWellFormed(ReadOnlySpan<char> text) => IndexOfLone(text) < 0;

    /// <summary>Replaces every lone surrogate by U+FFFD, as UTF-8 encoders do; the length stays.</summary>
    public static void Repair(Span<char> text)
    {
        for (int lone = IndexOfLone(text); lone >= 0; lone = IndexOfLone(text))
        {
            text[lone] = '\ufffd';
            text = text[(lone + 1)..];
        }
    }

    private static int IndexOfLone(ReadOnlySpan<char> text)
    {
        for (int at = 0; ;)
        {
            int next = text[at..].IndexOfAnyInRange('\ud800', '\udfff');
            if (next < 0)
            {
                return -1;
            }

            at += next;
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1]))
            {
                return at;
            }

            at += 2;
        }
    }
}
