using System.Text.Json;

namespace Vicuna.Managed.Compression.Data;

/// <summary>Checked access to the members of a record.</summary>
internal static class RecordFields
{
    /// <summary>A member that must be a string.</summary>
    /// <exception cref="ModelFormatException">It is missing or something else.</exception>
    public static string Text(this JsonElement record, string key) => record.OptionalText(key) ?? throw Wrong(key, "a string", null);

    /// <summary>A member that is a string, or missing or null.</summary>
    /// <exception cref="ModelFormatException">It is something else.</exception>
    public static string? OptionalText(this JsonElement record, string key) => Find(record, key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } other => throw Wrong(key, "a string", other.ValueKind),
    };

    /// <summary>A member that is an array, or missing or null.</summary>
    /// <exception cref="ModelFormatException">It is something else.</exception>
    public static JsonElement? OptionalArray(this JsonElement record, string key) => Find(record, key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } value => value,
        { } other => throw Wrong(key, "an array", other.ValueKind),
    };

    private static JsonElement? Find(JsonElement record, string key) =>
        record.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static ModelFormatException Wrong(string key, string expected, JsonValueKind? found) =>
        new($"'{key}': expected {expected}, found {found?.ToString() ?? "nothing"}");
}
