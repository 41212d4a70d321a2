using System.Text;

namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>Strangers' text in log lines and messages.</summary>
internal static class Text
{
    private const int MaxLength = 200;

    /// <summary>One printable line of limited length: no line ends, terminal escapes or halves of characters.</summary>
    public static string Printable(string text, int most = MaxLength)
    {
        StringBuilder line = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (line.Length >= most)
            {
                return line.Append("...").ToString();
            }

            // Separators of lines and paragraphs, and format characters that turn text around, too.
            bool plain = Rune.GetUnicodeCategory(rune) is not (System.Globalization.UnicodeCategory.Control or System.Globalization.UnicodeCategory.Format
                or System.Globalization.UnicodeCategory.LineSeparator or System.Globalization.UnicodeCategory.ParagraphSeparator
                or System.Globalization.UnicodeCategory.Surrogate);
            line.Append(plain ? rune.ToString() : "?");
        }

        return line.ToString();
    }

    /// <summary>An exception's message without what .NET appends to it.</summary>
    public static string OneLine(Exception exception)
    {
        int end = exception.Message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return Printable(end > 0 ? exception.Message[..end] : exception.Message, 2 * MaxLength);
    }
}
