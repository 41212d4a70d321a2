namespace Vicuna.Managed.Constraints;

/// <summary>The formats of strings, as expressions. Each describes a part of what its standard allows, and nothing else.</summary>
internal static class StringFormats
{
    private const string Month31 = "(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])";
    private const string Month30 = "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)";
    private const string LeapYear = "(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)";
    private const string Date = $"(?:[1-9]\\d{{3}}-(?:{Month31}|{Month30}|02-(?:0[1-9]|1\\d|2[0-8]))|{LeapYear}-02-29)";
    private const string Time = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:0\\d|1[0-3]):[0-5]\\d)";
    private const string Label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
    private const string Octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
    private const string Group = "[0-9A-Fa-f]{1,4}";
    private const string HoursMinutesSeconds = "T(?:\\d{1,4}H(?:\\d{1,4}M(?:\\d{1,4}S)?)?|\\d{1,4}M(?:\\d{1,4}S)?|\\d{1,4}S)";
    private const string YearsMonthsDays = "(?:\\d{1,4}Y(?:\\d{1,4}M(?:\\d{1,4}D)?)?|\\d{1,4}M(?:\\d{1,4}D)?|\\d{1,4}D)";

    private static readonly Dictionary<string, string> Expressions = new(StringComparer.Ordinal)
    {
        ["date-time"] = Date + "T" + Time,
        ["date"] = Date,
        ["time"] = Time,
        ["duration"] = $"P(?:{YearsMonthsDays}(?:{HoursMinutesSeconds})?|{HoursMinutesSeconds}|\\d{{1,4}}W)",
        ["email"] = $"[A-Za-z0-9_+-]{{1,32}}(?:\\.[A-Za-z0-9_+-]{{1,15}}){{0,2}}@{Label}(?:\\.{Label}){{0,3}}\\.[A-Za-z]{{2,16}}",
        ["hostname"] = $"{Label}(?:\\.{Label}){{0,4}}",
        ["ipv4"] = $"{Octet}(?:\\.{Octet}){{3}}",
        ["ipv6"] = Ipv6(),
        ["uuid"] = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    };

    /// <summary>The formats.</summary>
    public static IEnumerable<string> Names => Expressions.Keys;

    /// <summary>The expression of a format, null if it is not known.</summary>
    public static Pattern? Find(string format) =>
        Expressions.TryGetValue(format, out string? expression) ? RegexParser.Parse(expression, format, isSearch: false) : null;

    // All eight groups, or two colons in the place of one or more, with as many before and behind as there is room for.
    private static string Ipv6()
    {
        List<string> forms = [$"{Group}(?::{Group}){{7}}"];
        for (int before = 0; before <= 7; before++)
        {
            string first = before == 0 ? string.Empty : $"{Group}(?::{Group}){{{before - 1}}}";
            string last = before == 7 ? string.Empty : $"(?:{Group}(?::{Group}){{0,{6 - before}}})?";
            forms.Add($"{first}::{last}");
        }

        return $"(?:{string.Join('|', forms)})";
    }
}
