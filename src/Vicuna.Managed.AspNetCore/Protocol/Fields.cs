using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>
/// Reads the members of a JSON object of a request. Absent and null are the same; what has the wrong type or lies out of range is refused with a message that
/// names the field, what was expected and what was found. Members that nobody asks for are ignored, as OpenAI's API grows by them.
/// </summary>
internal readonly struct Fields
{
    private const int MaxQuoted = 40;

    private readonly JsonElement _element;
    private readonly string _path;

    private Fields(JsonElement element, string path) => (_element, _path) = (element, path);

    /// <summary>Takes an object.</summary>
    /// <param name="element">The object.</param>
    /// <param name="path">Where it is, for messages; empty for the body.</param>
    /// <exception cref="ApiException">It is none.</exception>
    public static Fields Of(JsonElement element, string path) => element.ValueKind == JsonValueKind.Object
        ? new Fields(element, path)
        : throw Wrong(path, "an object", element);

    /// <summary>Where a member is.</summary>
    public string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    /// <summary>Finds a member that is not null.</summary>
    public bool Has(string name, out JsonElement value) => _element.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A member that is an object, or null.</summary>
    public Fields? Object(string name) => Has(name, out JsonElement value) ? Of(value, PathOf(name)) : null;

    /// <summary>A member that is a string, or null.</summary>
    public string? String(string name) => Has(name, out JsonElement value) ? StringOf(value, PathOf(name)) : null;

    /// <summary>A member that is true or false; false where it is absent.</summary>
    public bool Flag(string name) => Has(name, out JsonElement value) && value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong(PathOf(name), "true or false", value),
    };

    /// <summary>A member that is a whole number in a range, or null.</summary>
    public int? Int(string name, int least, int most)
    {
        if (!Has(name, out JsonElement value))
        {
            return null;
        }

        string expected = most == int.MaxValue ? $"a whole number of at least {least}" : $"a whole number from {least} to {most}";
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least && number <= most
            ? number
            : throw Wrong(PathOf(name), expected, value);
    }

    /// <summary>A member that is a 64-bit whole number, or null.</summary>
    public long? Long(string name)
    {
        if (!Has(name, out JsonElement value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number : throw Wrong(PathOf(name), "a whole number of 64 bits", value);
    }

    /// <summary>A member that is a number in a range, or null.</summary>
    public double? Number(string name, double least, double most, bool leastExcluded = false) =>
        Has(name, out JsonElement value) ? NumberOf(value, PathOf(name), least, most, leastExcluded) : null;

    /// <summary>A number in a range.</summary>
    /// <exception cref="ApiException">It is none, or out of range; infinity and what is rounded to it are.</exception>
    public static double NumberOf(JsonElement value, string path, double least, double most, bool leastExcluded = false) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number <= most && (leastExcluded ? number > least : number >= least)
            ? number
            : throw Wrong(path, string.Create(CultureInfo.InvariantCulture, $"a number {(leastExcluded ? "above" : "from")} {least} {(leastExcluded ? "and at most" : "to")} {most}"), value);

    /// <summary>A text.</summary>
    /// <exception cref="ApiException">It is none, or has halves of characters.</exception>
    public static string StringOf(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            throw Wrong(path, "a string", value);
        }

        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw Errors.Invalid(path, $"{path}: expected Unicode text, found half of a surrogate pair.");
        }
    }

    /// <summary>A token id.</summary>
    /// <exception cref="ApiException">It is none of the vocabulary.</exception>
    public static int TokenOf(JsonElement value, string path, int vocabulary) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0 && id < vocabulary
            ? id
            : throw Wrong(path, $"a token id from 0 to {vocabulary - 1}", value);

    /// <summary>Says that a value is not what was expected.</summary>
    public static ApiException Wrong(string path, string expected, JsonElement found)
    {
        string name = path.Length == 0 ? "The body" : Text.Printable(path);
        return Errors.Invalid(path.Length == 0 ? null : Text.Printable(path), $"{name}: expected {expected}, found {Describe(found)}.");
    }

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => value.GetArrayLength() == 0 ? "an empty array" : "an array",
        JsonValueKind.Null => "null",
        // As it is written: a number may be one that no type of ours holds.
        _ => Text.Printable(value.GetRawText(), MaxQuoted),
    };
}
