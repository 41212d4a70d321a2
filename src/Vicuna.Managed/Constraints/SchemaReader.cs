using System.Globalization;
using System.Text;
using System.Text.Json;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Constraints;

/// <summary>The text of a schema: its parts by their JSON pointers, and its values with checks.</summary>
internal sealed class SchemaReader : IDisposable
{
    private const int MaxCharacters = 512 * 1024;
    private const int MaxDepth = 64;
    private const int MaxCount = 100_000;

    private readonly JsonDocument _document;

    /// <summary>Reads the text.</summary>
    /// <exception cref="ArgumentException">It is no JSON, too long, or too deep.</exception>
    public SchemaReader(string schema)
    {
        if (schema.Length > MaxCharacters)
        {
            throw new ArgumentException($"JSON schema: expected at most {MaxCharacters} characters, found {schema.Length}.");
        }

        if (!Surrogates.AreWellFormed(schema))
        {
            throw new ArgumentException("JSON schema: the text holds half a surrogate pair, which is no character.");
        }

        try
        {
            CheckStrings(Encoding.UTF8.GetBytes(schema));
            _document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            throw new ArgumentException($"JSON schema: no JSON of at most {MaxDepth} levels: {exception.Message}", exception);
        }
    }

    /// <summary>The schema.</summary>
    public JsonElement Root => _document.RootElement;

    /// <inheritdoc/>
    public void Dispose() => _document.Dispose();

    /// <summary>An error at a place.</summary>
    public static ArgumentException Error(string pointer, string problem) => new($"JSON schema at {pointer}: {problem}");

    /// <summary>The pointer of a part.</summary>
    public static string Join(string pointer, string name) =>
        $"{pointer}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";

    /// <summary>Finds the part that a <c>$ref</c> names.</summary>
    /// <param name="reference">The reference.</param>
    /// <param name="pointer">Where it is, for messages.</param>
    /// <exception cref="ArgumentException">It is not in this text, or there is no such part.</exception>
    public (JsonElement Schema, string Pointer) Find(string reference, string pointer)
    {
        if (reference.Length == 0 || reference[0] != '#' || (reference.Length > 1 && reference[1] != '/'))
        {
            throw Error(pointer, $"$ref: expected a place in this schema, '#' or '#/...', found '{reference}'.");
        }

        JsonElement at = Root;
        string found = "#";
        foreach (string escaped in reference.Split('/').Skip(1))
        {
            string name = Uri.UnescapeDataString(escaped).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            bool exists = at.ValueKind == JsonValueKind.Object
                ? at.TryGetProperty(name, out at)
                : TryGetElement(ref at, name);
            found = exists ? Join(found, name) : throw Error(pointer, $"$ref: there is no '{reference}'.");
        }

        return (at, found);
    }

    /// <summary>A string that a keyword has.</summary>
    public static string String(JsonElement value, string pointer, string keyword) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Error(pointer, $"'{keyword}': expected a string, found {value.ValueKind}.");

    /// <summary>A count that a keyword has; null where it is not there.</summary>
    public static int? Count(JsonElement schema, string pointer, string keyword)
    {
        if (!schema.TryGetProperty(keyword, out JsonElement value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count is >= 0 and <= MaxCount
            ? count
            : throw Error(pointer, $"'{keyword}': expected an integer of 0 to {MaxCount}, found {Shown(value)}.");
    }

    /// <summary>A number that a keyword has; null where it is not there.</summary>
    public static DecimalText? Number(JsonElement schema, string pointer, string keyword)
    {
        if (!schema.TryGetProperty(keyword, out JsonElement value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && DecimalText.Read(value.GetRawText()) is { } number
            ? number
            : throw Error(pointer, $"'{keyword}': expected a number of at most 64 characters, found {Shown(value)}.");
    }

    /// <summary>A value for messages.</summary>
    public static string Shown(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 40 ? text : string.Concat(text.AsSpan(0, 40), "...");
    }

    // Escapes can spell half a surrogate pair, which no answer can hold.
    private static void CheckStrings(byte[] schema)
    {
        Utf8JsonReader reader = new(schema, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                try
                {
                    reader.GetString();
                }
                catch (InvalidOperationException exception)
                {
                    throw new ArgumentException(
                        $"JSON schema: the string at byte {reader.TokenStartIndex} holds half a surrogate pair, which is no character.", exception);
                }
            }
        }
    }

    private static bool TryGetElement(ref JsonElement at, string name)
    {
        bool exists = at.ValueKind == JsonValueKind.Array
            && int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < at.GetArrayLength();
        at = exists ? at[int.Parse(name, CultureInfo.InvariantCulture)] : at;
        return exists;
    }
}
