using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>A line of a task's file: typed, checked access to the members of its object. An absent member and an explicit null are the same.</summary>
/// <param name="root">The line's object.</param>
/// <param name="file">The file's name, for messages.</param>
/// <param name="number">The line's number, counted from 1.</param>
internal sealed class TaskLine(JsonElement root, string file, int number)
{
    private const int MaxQuoted = 40;

    // The most that a dataset has is five; a line could bring millions, and each costs a pass.
    private const int MaxChoices = 256;
    private const int Letters = 26;

    /// <summary>Finds a member, or null.</summary>
    public JsonElement? Find(string key) => root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Whether the line has a member.</summary>
    public bool Has(string key) => Find(key) is not null;

    /// <summary>The one of several names that the line has.</summary>
    /// <exception cref="ModelFormatException">It has none of them, or more than one.</exception>
    public string Only(params string[] keys)
    {
        string[] found = [.. keys.Where(Has)];
        return found.Length == 1 ? found[0] : throw Wrong(string.Join(", ", keys), "one of them", found.Length == 0 ? "none" : string.Join(", ", found));
    }

    /// <summary>A string.</summary>
    public string Text(string key) => TextOf(key, Find(key));

    /// <summary>A string inside an object.</summary>
    public string Text(string key, string inner) =>
        Find(key) is { ValueKind: JsonValueKind.Object } value && value.TryGetProperty(inner, out JsonElement text)
            ? TextOf($"{key}.{inner}", text)
            : throw Wrong($"{key}.{inner}", "a string", "nothing");

    /// <summary>True or false, or 1 or 0.</summary>
    public bool YesNo(string key) => Find(key) switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out int bit) && bit is 0 or 1 => bit == 1,
        var value => throw Wrong(key, "true or false", value),
    };

    /// <summary>The texts of choices, with their labels where they have any.</summary>
    /// <param name="key">Name of the member.</param>
    /// <param name="outer">Name of the object that it is in, or null.</param>
    /// <returns>2 to 256 texts, and null or as many labels.</returns>
    public (IReadOnlyList<string> Texts, IReadOnlyList<string>? Labels) Choices(string key, string? outer = null)
    {
        string name = outer is null ? key : $"{outer}.{key}";
        (string[] texts, string[]? labels) = ReadChoices(key, outer, name);
        return texts.Length is >= 2 and <= MaxChoices && (labels is null || labels.Length == texts.Length)
            ? (texts, labels)
            : throw Wrong(name, $"2 to {MaxChoices} choices, all or none with labels", $"{texts.Length} and {labels?.Length ?? 0} labels");
    }

    /// <summary>Which choice is right: one of the labels; else a letter, or a number.</summary>
    /// <param name="key">Name of the member.</param>
    /// <param name="choices">Number of choices.</param>
    /// <param name="labels">Their labels, or null.</param>
    /// <param name="first">Number of the first choice, 0 or 1.</param>
    /// <returns>Counted from 0.</returns>
    public int Answer(string key, int choices, IReadOnlyList<string>? labels, int first)
    {
        JsonElement? value = Find(key);
        long index = -1;
        if (value is { ValueKind: JsonValueKind.Number } && value.Value.TryGetInt32(out int whole))
        {
            index = (long)whole - first;
        }
        else if (value is { ValueKind: JsonValueKind.String })
        {
            string text = TextOf(key, value).Trim();
            index = labels?.ToList().IndexOf(text) ?? -1;
            if (index < 0 && text.Length == 1 && char.IsAsciiLetter(text[0]))
            {
                index = (text[0] | ' ') - 'a';
            }
            else if (index < 0 && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int digits))
            {
                index = (long)digits - first;
            }
        }

        string expected = $"the right one of {choices} choices as a number from {first} to {choices - 1 + first}"
            + (choices <= Letters ? $" or a letter from A to {(char)('A' + choices - 1)}" : string.Empty);
        return index >= 0 && index < choices ? (int)index : throw Wrong(key, expected, value);
    }

    /// <summary>The error about a member.</summary>
    public ModelFormatException Wrong(string key, string expected, string found) => new(file, $"{key}: expected {expected}, found {found}", $"line {number}");

    private (string[] Texts, string[]? Labels) ReadChoices(string key, string? outer, string name)
    {
        JsonElement? found = outer is null
            ? Find(key)
            : Find(outer) is { ValueKind: JsonValueKind.Object } inside && inside.TryGetProperty(key, out JsonElement inner) ? inner : null;
        if (found is { ValueKind: JsonValueKind.Object } lists && lists.TryGetProperty("text", out JsonElement column))
        {
            return (Strings($"{name}.text", column), lists.TryGetProperty("label", out JsonElement marks) ? Strings($"{name}.label", marks) : null);
        }

        if (found is not { ValueKind: JsonValueKind.Array } array)
        {
            throw Wrong(name, "a list of choices", found);
        }

        JsonElement[] items = [.. array.EnumerateArray()];
        if (items.Length == 0 || items[0].ValueKind != JsonValueKind.Object)
        {
            return (Strings(name, array), null);
        }

        JsonElement? Member(JsonElement item, string member) =>
            item.ValueKind == JsonValueKind.Object && item.TryGetProperty(member, out JsonElement text) ? text : null;
        string[] Members(string member) => [.. items.Select(item => TextOf($"{name}.{member}", Member(item, member)))];
        return (Members("text"), items[0].TryGetProperty("label", out _) ? Members("label") : null);
    }

    private ModelFormatException Wrong(string key, string expected, JsonElement? value)
    {
        string found = value is null ? "nothing" : value.Value.GetRawText();
        return Wrong(key, expected, found.Length > MaxQuoted ? string.Concat(found.AsSpan(0, MaxQuoted), "...") : found);
    }

    private string TextOf(string key, JsonElement? value) =>
        value is { ValueKind: JsonValueKind.String } ? value.Value.GetString()! : throw Wrong(key, "a string", value);

    private string[] Strings(string key, JsonElement value) => value.ValueKind == JsonValueKind.Array
        ? [.. value.EnumerateArray().Select(item => TextOf(key, item))]
        : throw Wrong(key, "a list of strings", value);
}
