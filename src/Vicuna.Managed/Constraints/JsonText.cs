using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Vicuna.Managed.Constraints;

/// <summary>JSON's own ways of writing, as expressions.</summary>
internal static class JsonText
{
    private const int MaxDigits = 18;
    private const int MaxIndent = 32;

    private static readonly CodePointSet Special = CodePointSet.Of([(0, 0x1F), ('"', '"'), ('\\', '\\')]);
    private static readonly Pattern Hex = Set("0123456789abcdefABCDEF");

    /// <summary>A decimal digit.</summary>
    public static Pattern Digit { get; } = Set("0123456789");

    /// <summary>
    /// White space between parts, at least one character: a space, or a new line with indentation. It is limited, so that nobody goes on with it for ever.
    /// </summary>
    public static Pattern Space { get; } = new Pattern.Choice(
        [Pattern.Text(" "), new Pattern.Sequence([Pattern.Text("\n"), new Pattern.Repeat(Pattern.Text(" "), 0, MaxIndent)])]);

    /// <summary>An integer that 64 bits hold.</summary>
    public static Pattern Integer { get; } = new Pattern.Choice(
        [Pattern.Text("0"), new Pattern.Sequence([Pattern.Optional(Pattern.Text("-")), Set("123456789"), new Pattern.Repeat(Digit, 0, MaxDigits - 1)])]);

    /// <summary>A number that a double holds without overflow.</summary>
    public static Pattern Number { get; } = new Pattern.Sequence(
    [
        Pattern.Optional(Pattern.Text("-")),
        new Pattern.Choice([Pattern.Text("0"), new Pattern.Sequence([Set("123456789"), new Pattern.Repeat(Digit, 0, MaxDigits - 1)])]),
        Pattern.Optional(new Pattern.Sequence([Pattern.Text("."), new Pattern.Repeat(Digit, 1, MaxDigits)])),
        Pattern.Optional(new Pattern.Sequence([Set("eE"), Pattern.Optional(Set("+-")), new Pattern.Repeat(Digit, 1, 2)])),
    ]);

    /// <summary>One character of a string, in any way that JSON has for it.</summary>
    public static Pattern Character { get; } = new Pattern.Choice(
    [
        new Pattern.Characters(Special.Complement()),
        new Pattern.Sequence([Pattern.Text("\\"), Set("\"\\/bfnrt")]),
        new Pattern.Sequence([Pattern.Text("\\u"), Unit()]),
    ]);

    /// <summary>A string of any characters.</summary>
    /// <param name="least">Least characters.</param>
    /// <param name="most">Most characters; null = any number.</param>
    public static Pattern String(int least, int? most) =>
        new Pattern.Sequence([Pattern.Text("\""), new Pattern.Repeat(Character, least, most), Pattern.Text("\"")]);

    /// <summary>A string whose value an expression describes. What must be escaped is escaped, in one way; nothing else is.</summary>
    public static Pattern String(Pattern value) => new Pattern.Sequence([Pattern.Text("\""), Escaped(value), Pattern.Text("\"")]);

    /// <summary>One text: a value as compact JSON.</summary>
    public static Pattern Literal(JsonElement value)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            value.WriteTo(writer);
        }

        return Pattern.Text(Encoding.UTF8.GetString(bytes.ToArray()));
    }

    /// <summary>One text: a string.</summary>
    public static Pattern Literal(string value) => String(Pattern.Text(value));

    // The four digits of a character, or of the two halves of one. The last two are the same for all, which saves states.
    private static Pattern.Sequence Unit() => new(
    [
        new Pattern.Choice(
        [
            new Pattern.Sequence([Set("0123456789abcefABCEF"), Hex]),
            new Pattern.Sequence([Set("dD"), Set("01234567")]),
            new Pattern.Sequence([Set("dD"), Set("89abAB"), Hex, Hex, Pattern.Text("\\u"), Set("dD"), Set("cdefCDEF")]),
        ]),
        Hex,
        Hex,
    ]);

    // As deep as expressions are: their makers limit that.
    private static Pattern Escaped(Pattern pattern) => pattern switch
    {
        Pattern.Characters characters => Escaped(characters.Set),
        Pattern.Sequence sequence => new Pattern.Sequence([.. sequence.Parts.Select(Escaped)]),
        Pattern.Choice choice => new Pattern.Choice([.. choice.Options.Select(Escaped)]),
        Pattern.Repeat repeat => repeat with { Part = Escaped(repeat.Part) },
        Pattern.Both both => new Pattern.Both(Escaped(both.First), Escaped(both.Second)),
        _ => throw new ArgumentOutOfRangeException(nameof(pattern)),
    };

    private static Pattern Escaped(CodePointSet set)
    {
        List<Pattern> options = [new Pattern.Characters(set.Except(Special))];
        foreach (int value in Enumerable.Range(0, 0x20).Concat(['"', '\\']).Where(set.Contains))
        {
            options.Add(Pattern.Text(value switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\f' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ => $"\\u{value:X4}",
            }));
        }

        return options.Count == 1 ? options[0] : new Pattern.Choice(options);
    }

    private static Pattern.Characters Set(string characters) => new(CodePointSet.Of(characters));
}
