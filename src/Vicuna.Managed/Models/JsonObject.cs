using System.Text.Json;
using System.Text.Unicode;

namespace Vicuna.Managed.Models;

/// <summary>Typed, checked access to a small JSON configuration file. An absent key and an explicit null are the same.</summary>
internal sealed class JsonObject
{
    private const int MaxBytes = 16 << 20;

    private readonly JsonElement _root;
    private readonly string _prefix;

    private JsonObject(JsonElement root, string fileName, string prefix)
    {
        _root = root;
        FileName = fileName;
        _prefix = prefix;
    }

    /// <summary>The file's name, for messages.</summary>
    public string FileName { get; }

    /// <summary>Parses a file.</summary>
    /// <exception cref="ModelFormatException">Not a JSON object, too large, or a key stands twice.</exception>
    public static JsonObject Parse(ReadOnlyMemory<byte> utf8, string fileName)
    {
        if (utf8.Length > MaxBytes)
        {
            throw new ModelFormatException(fileName, $"expected at most {MaxBytes} bytes, found {utf8.Length}", item: null);
        }

        if (!Utf8.IsValid(utf8.Span))
        {
            throw new ModelFormatException(fileName, "the file is not valid UTF-8", item: null);
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = 64, AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new JsonObject(document.RootElement.Clone(), fileName, string.Empty)
                : throw new ModelFormatException(fileName, $"expected a JSON object, found {document.RootElement.ValueKind}", item: null);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new ModelFormatException(fileName, $"not a valid JSON file ({exception.Message})", item: null, exception);
        }
    }

    /// <summary>An object inside this one, or null.</summary>
    public JsonObject? Object(string key) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Object ? new JsonObject(value, FileName, $"{_prefix}{key}.") : throw Wrong(key, "an object", value)
        : null;

    /// <summary>A whole number, or null.</summary>
    public int? Int(string key) => Find(key) is { } value ? IntOf(key, value) : null;

    /// <summary>A whole number that must be there.</summary>
    public int RequiredInt(string key) => Int(key) ?? throw new ModelFormatException(FileName, "expected a whole number, found nothing", _prefix + key);

    /// <summary>A finite number, or null.</summary>
    public double? Number(string key) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number : throw Wrong(key, "a finite number", value)
        : null;

    /// <summary>A truth value, or null.</summary>
    public bool? Bool(string key) => Find(key) is { } value
        ? value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Wrong(key, "true or false", value),
        }
        : null;

    /// <summary>A string, or null.</summary>
    public string? String(string key) => Find(key) is { } value ? StringOf(key, value) : null;

    /// <summary>Whether the key is there and a string.</summary>
    public bool IsString(string key) => Find(key)?.ValueKind == JsonValueKind.String;

    /// <summary>A string, or the JSON text of a value of another kind; null where absent.</summary>
    public string? StringOrOther(string key) => Find(key) is not { } value ? null : value.ValueKind == JsonValueKind.String ? StringOf(key, value) : value.GetRawText();

    /// <summary>A whole number or a list of them; empty where absent.</summary>
    public IReadOnlyList<int> IntOrInts(string key) => Find(key) is not { } value
        ? []
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(item => IntOf(key, item))] : [IntOf(key, value)];

    /// <summary>A list of strings; empty where absent.</summary>
    public IReadOnlyList<string> Strings(string key) => Find(key) is not { } value
        ? []
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(item => StringOf(key, item))] : throw Wrong(key, "a list of strings", value);

    private int IntOf(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : throw Wrong(key, "a whole number of 32 bits", value);

    private string StringOf(string key, JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(key, "a string", value);
        }
        catch (InvalidOperationException exception)
        {
            throw new ModelFormatException(FileName, "expected a string of whole Unicode characters", _prefix + key, exception);
        }
    }

    private JsonElement? Find(string key) => _root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private ModelFormatException Wrong(string key, string expected, JsonElement value)
    {
        string found = value.GetRawText();
        return new ModelFormatException(FileName, $"expected {expected}, found {(found.Length > 40 ? string.Concat(found.AsSpan(0, 40), "...") : found)}", _prefix + key);
    }
}
