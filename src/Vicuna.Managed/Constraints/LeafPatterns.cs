using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.Constraints;

/// <summary>Schemas without subschemas: strings, numbers, booleans, null.</summary>
/// <param name="budget">What the compilation may cost.</param>
internal sealed class LeafPatterns(CompileBudget budget)
{
    private const int MaxFractionDigits = 15;
    private const int MaxMultiple = 1000;

    /// <summary>Reads a schema.</summary>
    /// <param name="type">Which of its types.</param>
    /// <param name="schema">The schema.</param>
    /// <param name="pointer">Its place.</param>
    /// <returns>What tells it from others, and how its expression is made.</returns>
    /// <exception cref="ArgumentException">It is not supported, or allows no value.</exception>
    public (string Key, Func<Pattern> Pattern) Of(string type, JsonElement schema, string pointer) => type switch
    {
        "string" => OfString(schema, pointer),
        "integer" or "number" => OfNumber(schema, pointer, isInteger: type == "integer"),
        "boolean" => ("boolean", () => new Pattern.Choice([Pattern.Text("true"), Pattern.Text("false")])),
        _ => ("null", () => Pattern.Text("null")),
    };

    private (string Key, Func<Pattern> Pattern) OfString(JsonElement schema, string pointer)
    {
        int least = SchemaReader.Count(schema, pointer, "minLength") ?? 0;
        int? most = SchemaReader.Count(schema, pointer, "maxLength");
        if (least > (most ?? least))
        {
            throw SchemaReader.Error(pointer, $"'minLength' is {least}, more than 'maxLength', {most}.");
        }

        List<Pattern> forms = [];
        string? pattern = schema.TryGetProperty("pattern", out JsonElement given) ? SchemaReader.String(given, pointer, "pattern") : null;
        if (pattern is not null)
        {
            forms.Add(RegexParser.Parse(pattern, $"JSON schema at {pointer}: 'pattern'", isSearch: true));
        }

        string? format = schema.TryGetProperty("format", out given) ? SchemaReader.String(given, pointer, "format") : null;
        if (format is not null)
        {
            forms.Add(StringFormats.Find(format)
                ?? throw SchemaReader.Error(pointer, $"'format': expected one of {string.Join(", ", StringFormats.Names)}, found '{format}'."));
        }

        if (forms.Count == 0)
        {
            return least == 0 && most is null ? ("string", () => JsonText.String(0, null)) : ($"string {least} {most}", () => JsonText.String(least, most));
        }

        if (least > 0 || most is not null)
        {
            forms.Add(new Pattern.Repeat(new Pattern.Characters(CodePointSet.All), least, most));
        }

        string key = string.Create(CultureInfo.InvariantCulture, $"string {least} {most} {format} {pattern}");
        return (key, () => NotEmpty(JsonText.String(forms.Aggregate((first, second) => new Pattern.Both(first, second))), pointer));
    }

    private (string Key, Func<Pattern> Pattern) OfNumber(JsonElement schema, string pointer, bool isInteger)
    {
        DecimalText? least = SchemaReader.Number(schema, pointer, "minimum");
        DecimalText? above = SchemaReader.Number(schema, pointer, "exclusiveMinimum");
        DecimalText? most = SchemaReader.Number(schema, pointer, "maximum");
        DecimalText? below = SchemaReader.Number(schema, pointer, "exclusiveMaximum");
        DecimalText? multiple = SchemaReader.Number(schema, pointer, "multipleOf");
        if (least is null && above is null && most is null && below is null && multiple is null)
        {
            return isInteger ? ("integer", () => JsonText.Integer) : ("number", () => JsonText.Number);
        }

        (int fraction, int divisor) = Steps(multiple, isInteger, pointer);
        if (above is not null || below is not null)
        {
            // Read as doubles, numbers of more than 15 digits may be equal to the bound that they must not reach.
            fraction = Math.Min(fraction, Math.Max(0, MaxFractionDigits - Math.Max(above?.Whole.Length ?? 0, below?.Whole.Length ?? 0)));
        }

        string key = $"number {least} {above} {most} {below} {fraction} {divisor}";
        return (key, () =>
        {
            // Bounds of both kinds hold at once.
            Pattern? first = new NumberRange(least, false, most, false, fraction).ToPattern();
            Pattern? second = above is null && below is null ? first : new NumberRange(above, true, below, true, fraction).ToPattern();
            if (first is null || second is null)
            {
                throw SchemaReader.Error(pointer, "no number of at most 18 digits lies between the bounds.");
            }

            Pattern both = first == second ? first : new Pattern.Both(first, second);
            return NotEmpty(divisor > 1 ? new Pattern.Both(both, new Pattern.Accepted(MultiplesOf(divisor))) : both, pointer);
        });
    }

    // Digits behind the point, and what the digits together must be a multiple of.
    private static (int Fraction, int Divisor) Steps(DecimalText? multiple, bool isInteger, string pointer)
    {
        if (multiple is null)
        {
            return (isInteger ? 0 : MaxFractionDigits, 1);
        }

        if (multiple is { IsNegative: false, IsZero: false } && multiple.AsInteger() is { } integer && integer <= MaxMultiple)
        {
            return (0, (int)integer);
        }

        // 0.01: numbers of at most two digits behind the point.
        bool isPowerOfTen = multiple is { IsNegative: false, Whole: "" } && multiple.Fraction.Length is > 0 and <= MaxFractionDigits
            && multiple.Fraction.Trim('0') == "1";
        return isPowerOfTen && !isInteger
            ? (multiple.Fraction.Length, 1)
            : throw SchemaReader.Error(
                pointer,
                $"'multipleOf': expected an integer of 1 to {MaxMultiple}{(isInteger ? string.Empty : ", or 0.1, 0.01 and so on")}; others are not supported.");
    }

    // Digit by digit the remainder: state 0 is the beginning, 1 behind the sign, 2 behind a zero that is all, 3 + r elsewhere.
    private static ByteDfa MultiplesOf(int divisor)
    {
        const int Kinds = 12;
        byte[] classOf = new byte[256];
        Array.Fill(classOf, (byte)(Kinds - 1));
        classOf['-'] = 10;
        int[] next = new int[Kinds * (divisor + 3)];
        Array.Fill(next, -1);
        bool[] accepts = new bool[divisor + 3];
        (accepts[2], accepts[3]) = (true, true);
        next[10] = 1;
        next[0] = 2;
        for (int digit = 0; digit <= 9; digit++)
        {
            classOf['0' + digit] = (byte)digit;
            for (int remainder = 0; remainder < divisor; remainder++)
            {
                next[((3 + remainder) * Kinds) + digit] = 3 + (((remainder * 10) + digit) % divisor);
            }

            if (digit > 0)
            {
                next[digit] = next[Kinds + digit] = 3 + (digit % divisor);
            }
        }

        return ByteDfa.Create(classOf, Kinds, next, accepts);
    }

    private Pattern.Accepted NotEmpty(Pattern pattern, string pointer)
    {
        ByteDfa dfa = ByteDfa.Of(pattern, budget);
        return Enumerable.Range(0, dfa.Count).Any(dfa.Accepts)
            ? new Pattern.Accepted(dfa)
            : throw SchemaReader.Error(pointer, "no value satisfies all keywords at once.");
    }
}
