using System.Text;
using Terminal.Gui.Drawing;
using Terminal.Gui.Text;

namespace DesktopSample;

/// <summary>Breaks text into lines of a terminal, whose characters are one or two columns wide.</summary>
internal static class TextWrap
{
    /// <summary>Breaks text at its line ends, and between words where a line would be too wide; within a word where that alone is.</summary>
    /// <param name="text">The text. Control characters, which a terminal would obey, become spaces.</param>
    /// <param name="width">Columns of a line, 1 or more.</param>
    /// <returns>The lines; one empty line of an empty text.</returns>
    public static IEnumerable<string> Wrap(string text, int width)
    {
        foreach (string paragraph in text.ReplaceLineEndings("\n").Split('\n'))
        {
            StringBuilder line = new();
            int used = 0;
            foreach (string word in Words(paragraph))
            {
                int columns = Columns(word.TrimEnd());
                if (used > 0 && used + columns > width)
                {
                    yield return line.ToString().TrimEnd();
                    (used, line) = (0, new StringBuilder());
                }

                foreach (string piece in used + columns > width ? GraphemeHelper.GetGraphemes(word) : [word])
                {
                    if (used > 0 && used + Columns(piece.TrimEnd()) > width)
                    {
                        yield return line.ToString().TrimEnd();
                        (used, line) = (0, new StringBuilder());
                    }

                    line.Append(piece);
                    used += Columns(piece);
                }
            }

            yield return line.ToString().TrimEnd();
        }
    }

    private static int Columns(string text) => text.GetColumns();

    // Words with the spaces behind them.
    private static IEnumerable<string> Words(string paragraph)
    {
        StringBuilder word = new();
        foreach (char c in paragraph)
        {
            char shown = char.IsControl(c) ? ' ' : c;
            if (shown != ' ' && word.Length > 0 && word[^1] == ' ')
            {
                yield return word.ToString();
                word.Clear();
            }

            word.Append(shown);
        }

        if (word.Length > 0)
        {
            yield return word.ToString();
        }
    }
}
