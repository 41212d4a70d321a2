using System.Text;
using System.Text.RegularExpressions;

namespace Vicuna.Managed.Tests.House;

/// <summary>A C# file of the repository: its text, and its code with comments and the text of strings blanked out.</summary>
internal sealed partial class SourceFile
{
    private readonly StringBuilder _code = new();

    private SourceFile(string path, string relativePath)
    {
        RelativePath = relativePath;
        Text = File.ReadAllText(path);
        CopyCode(0, isHole: false);
        Code = _code.ToString();
        Namespace = NamespacePattern().Match(Code) is { Success: true } match ? match.Groups[1].Value : string.Empty;
        DeclaredTypes = [.. TypePattern().Matches(Code).Select(found => found.Groups[1].Value)];
        Names = NamePattern().Matches(Code).Select(found => found.Value).ToHashSet();
    }

    /// <summary>Path below <c>src</c>, with slashes.</summary>
    public string RelativePath { get; }

    /// <summary>The file as it is.</summary>
    public string Text { get; }

    /// <summary>The file without comments and strings; the code in the holes of interpolated strings is kept.</summary>
    public string Code { get; }

    /// <summary>The declared namespace.</summary>
    public string Namespace { get; }

    /// <summary>Names of the types that it declares.</summary>
    public IReadOnlyList<string> DeclaredTypes { get; }

    /// <summary>Identifiers in its code that do not stand behind a dot.</summary>
    public IReadOnlySet<string> Names { get; }

    /// <summary>Every file below <c>src</c> that is not generated.</summary>
    public static IReadOnlyList<SourceFile> All { get; } = Load();

    /// <summary>A file from text, for tests of this class.</summary>
    public static SourceFile Of(string text)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            return new SourceFile(path, "Test.cs");
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static SourceFile[] Load()
    {
        string root = Support.RepositoryFolder.Find("src");
        return
        [
            .. Directory.EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
                .Select(path => (Path: path, Relative: Path.GetRelativePath(root, path).Replace('\\', '/')))
                .Where(file => !file.Relative.Contains("/obj/") && !file.Relative.Contains("/bin/"))
                .OrderBy(file => file.Relative, StringComparer.Ordinal)
                .Select(file => new SourceFile(file.Path, file.Relative)),
        ];
    }

    // Copies code up to the end, or to the brace that closes a string's hole; returns where it stopped.
    private int CopyCode(int i, bool isHole)
    {
        int depth = 0;
        while (i < Text.Length)
        {
            int prefix = 0;
            while (i + prefix < Text.Length && Text[i + prefix] is '$' or '@')
            {
                prefix++;
            }

            if (At(i, "//"))
            {
                i = EndOf("\n", i) - 1;
            }
            else if (At(i, "/*"))
            {
                i = EndOf("*/", i + 2);
            }
            else if (Text[i] == '\'')
            {
                i = EndOf("'", i + (Text[i + 1] == '\\' ? 3 : 2));
            }
            else if (i + prefix < Text.Length && Text[i + prefix] == '"')
            {
                _code.Append("\"\"");
                i = SkipString(i + prefix, Text.AsSpan(i, prefix).Count('$'), Text.AsSpan(i, prefix).Contains('@'));
            }
            else
            {
                depth += Text[i] switch { '{' => 1, '}' => -1, _ => 0 };
                if (isHole && depth < 0)
                {
                    return i;
                }

                _code.Append(Text[i++]);
            }
        }

        return i;
    }

    // Skips a string from its first quote on, but copies the code of its holes.
    private int SkipString(int i, int dollars, bool verbatim)
    {
        int quotes = Text.AsSpan(i).IndexOfAnyExcept('"') is int run and >= 0 ? run : Text.Length - i;
        bool raw = quotes >= 3;
        if (quotes is 2 or (>= 3 and 6))
        {
            return i + quotes;
        }

        string end = raw ? new string('"', quotes) : "\"";
        i += raw ? quotes : 1;
        while (!At(i, end) || (verbatim && At(i, "\"\"")))
        {
            if (!raw && ((!verbatim && Text[i] == '\\') || At(i, "\"\"") || (dollars > 0 && (At(i, "{{") || At(i, "}}")))))
            {
                i += 2;
            }
            else if (dollars > 0 && At(i, new string('{', dollars)))
            {
                _code.Append(' ');
                i = CopyCode(i + dollars, isHole: true) + dollars;
                _code.Append(' ');
            }
            else
            {
                i++;
            }
        }

        return i + end.Length;
    }

    private bool At(int i, string text) => string.CompareOrdinal(Text, i, text, 0, text.Length) == 0;

    private int EndOf(string text, int from) => Text.IndexOf(text, from, StringComparison.Ordinal) is int found and >= 0 ? found + text.Length : Text.Length + 1;

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespacePattern();

    [GeneratedRegex(@"\b(?:class|struct|interface|enum|record(?: struct| class)?|delegate [\w<>\[\]?]+) (?!struct\b|class\b)([A-Z]\w*)")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"(?<![\w.])[A-Za-z_]\w*")]
    private static partial Regex NamePattern();
}
