using System.Text.Json;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Reads texts, or token ids, one or several: OpenAI's <c>prompt</c> and <c>input</c>.</summary>
internal static class PromptReader
{
    /// <summary>Reads a member that is a string, an array of strings, an array of ids, or an array of arrays of ids.</summary>
    /// <param name="body">The request.</param>
    /// <param name="name">The member.</param>
    /// <param name="vocabulary">Ids are less than this.</param>
    /// <param name="most">Most texts.</param>
    /// <exception cref="ApiException">It is missing, empty, too many, or something else.</exception>
    public static List<Prompt> Read(Fields body, string name, int vocabulary, int most)
    {
        if (!body.Has(name, out JsonElement value))
        {
            throw Errors.Invalid(name, $"{name}: expected text or token ids, found none.", "missing_required_parameter");
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            return [TextOf(value, name)];
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            throw Fields.Wrong(name, "a string, an array of strings, or an array of token ids", value);
        }

        if (value[0].ValueKind == JsonValueKind.Number)
        {
            return [TokensOf(value, name, vocabulary)];
        }

        if (value.GetArrayLength() > most)
        {
            throw Errors.Invalid(name, $"{name}: expected at most {most} texts, found {value.GetArrayLength()}.");
        }

        List<Prompt> prompts = new(value.GetArrayLength());
        foreach (JsonElement element in value.EnumerateArray())
        {
            string path = $"{name}[{prompts.Count}]";
            prompts.Add(element.ValueKind == JsonValueKind.Array ? TokensOf(element, path, vocabulary) : TextOf(element, path));
        }

        return prompts;
    }

    private static Prompt TextOf(JsonElement value, string path) => Fields.StringOf(value, path) is { Length: > 0 } text
        ? Prompt.FromText(text)
        : throw Errors.Invalid(path, $"{path}: expected text, found an empty string.");

    private static Prompt TokensOf(JsonElement value, string path, int vocabulary)
    {
        if (value.GetArrayLength() == 0)
        {
            throw Fields.Wrong(path, "at least one token id", value);
        }

        int[] ids = new int[value.GetArrayLength()];
        int index = 0;
        foreach (JsonElement element in value.EnumerateArray())
        {
            ids[index] = Fields.TokenOf(element, $"{path}[{index}]", vocabulary);
            index++;
        }

        return Prompt.FromTokens(ids);
    }
}
