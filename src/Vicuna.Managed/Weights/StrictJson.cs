using System.Text.Json;

namespace Vicuna.Managed.Weights;

/// <summary>What <see cref="Utf8JsonReader"/> does not do by itself for headers and indexes from strangers.</summary>
internal static class StrictJson
{
    /// <summary>From a property's name, moves to the last token of its value; like <see cref="Utf8JsonReader.Skip"/>, but strings are decoded.</summary>
    /// <exception cref="JsonException">The value is not valid JSON.</exception>
    /// <exception cref="InvalidOperationException">A string holds half a surrogate pair.</exception>
    public static void Skip(ref Utf8JsonReader json)
    {
        int depth = json.CurrentDepth;
        do
        {
            json.Read();
            // The reader leaves escapes unchecked until a string is asked for.
            if (json.ValueIsEscaped && json.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
            {
                json.GetString();
            }
        }
        while (json.CurrentDepth > depth || json.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray);
    }

    /// <summary>Whether an exception is the reader's answer to bad JSON: half a surrogate pair gives another type than all else.</summary>
    public static bool IsBadJson(Exception exception) => exception is JsonException or InvalidOperationException;
}
