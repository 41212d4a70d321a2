using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Vicuna.Managed.Chat;

/// <summary>
/// Tools for models whose template has no place for them: they are described in the system message, and the answer is given the form of one JSON object,
/// which is either a call, <c>{"tool": …, "arguments": …}</c>, or an answer in words, <c>{"answer": …}</c>. Enforce the form with
/// <see cref="OutputConstraint.JsonSchema"/> of <see cref="Schema"/>; whatever the model, a call is then one of a tool that exists, with arguments of its
/// schema. Whether a call is sensible remains the model's doing. One call an answer. Immutable and safe for concurrent use.
/// </summary>
public sealed class PromptTools
{
    /// <summary>Most tools of one request.</summary>
    public const int MaxTools = 128;

    // The text goes to a model, not to a web page; escapes would only cost tokens.
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Describes tools.</summary>
    /// <param name="tools">The tools, 1 to <see cref="MaxTools"/>, each name once.</param>
    /// <param name="isCallRequired">Whether the answer must be a call; else the model decides between a call and words.</param>
    /// <param name="onlyTool">
    /// Name of the one tool that must be called; null for any. The others are described all the same, so that prompts of a conversation begin alike.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There are no tools or too many, a name is malformed or comes twice, <paramref name="onlyTool"/> is none of them, or parameters are no JSON object, or
    /// of another type than <c>object</c>; the message names the tool.
    /// </exception>
    public PromptTools(IReadOnlyList<PromptTool> tools, bool isCallRequired = false, string? onlyTool = null)
    {
        ArgumentNullException.ThrowIfNull(tools);
        if (tools.Count is < 1 or > MaxTools)
        {
            throw new ArgumentException($"Tools: expected 1 to {MaxTools}, found {tools.Count}.", nameof(tools));
        }

        HashSet<string> names = new(StringComparer.Ordinal);
        for (int i = 0; i < tools.Count; i++)
        {
            CheckName(tools, i);
            if (!names.Add(tools[i].Name))
            {
                throw new ArgumentException($"Tool {i}: expected a name that comes once, found '{tools[i].Name}' again.", nameof(tools));
            }
        }

        if (onlyTool is not null && !names.Contains(onlyTool))
        {
            throw new ArgumentException($"Tool to call: expected one of {string.Join(", ", names)}, found '{onlyTool}'.", nameof(onlyTool));
        }

        bool mayAnswer = !isCallRequired && onlyTool is null;
        ToolSchema[] parsed = [.. tools.Select(ToolSchema.Parse)];
        try
        {
            Instructions = Describe(parsed, mayAnswer);
            Schema = Json(json => ToolSchema.WriteAnswer(json, [.. parsed.Where(tool => onlyTool is null || tool.Name == onlyTool)], mayAnswer));
        }
        finally
        {
            Array.ForEach(parsed, tool => tool.Dispose());
        }
    }

    /// <summary>Describes the tools and the answer's form, for the system message: after the caller's own instructions, where there are any.</summary>
    public string Instructions { get; }

    /// <summary>JSON schema of the answer. Parameters of a tool are its definition of the tool's name, so that errors in them say whose they are.</summary>
    public string Schema { get; }

    /// <summary>A call as the model writes it, for the assistant's message in a conversation's history.</summary>
    /// <param name="call">The call.</param>
    /// <returns>The message's text.</returns>
    /// <exception cref="ArgumentException">The arguments are no JSON object, or have half of a surrogate pair in them.</exception>
    public static string FormatCall(PromptToolCall call)
    {
        ArgumentNullException.ThrowIfNull(call);
        using JsonDocument arguments = ToolSchema.ParseObject(call.Arguments, $"Arguments of {call.Name}");
        try
        {
            return Json(json =>
            {
                json.WriteStartObject();
                json.WriteString(ToolSchema.Tool, call.Name);
                json.WritePropertyName(ToolSchema.Arguments);
                arguments.RootElement.WriteTo(json);
                json.WriteEndObject();
            });
        }
        catch (InvalidOperationException exception)
        {
            // Texts are looked into no earlier than they are written.
            throw new ArgumentException($"Arguments of {call.Name}: expected Unicode text, found half of a surrogate pair.", nameof(call), exception);
        }
    }

    /// <summary>What a tool returned, for the user's message in a conversation's history: results of several calls go into one message, a line each.</summary>
    /// <param name="name">The tool's name.</param>
    /// <param name="result">What it returned.</param>
    /// <returns>The message's text.</returns>
    public static string FormatResult(string name, string result)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(result);
        return $"Result of {name}: {result}";
    }

    /// <summary>An answer in words as the model writes it where it has tools, for the assistant's message in a conversation's history.</summary>
    /// <param name="answer">The words.</param>
    /// <returns>The message's text.</returns>
    public static string FormatAnswer(string answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        return Json(json =>
        {
            json.WriteStartObject();
            json.WriteString(ToolSchema.Answer, answer);
            json.WriteEndObject();
        });
    }

    private static string Describe(ToolSchema[] tools, bool mayAnswer)
    {
        StringBuilder text = new();
        text.Append("You can use tools. Your answer is one JSON object and nothing else.\n");
        text.Append("To use a tool: {\"tool\": \"its name\", \"arguments\": {its arguments}}\n");
        if (mayAnswer)
        {
            text.Append("To answer in words: {\"answer\": \"your words\"}\n");
        }

        text.Append("Tools, each with the JSON schema of its arguments:");
        foreach (ToolSchema tool in tools)
        {
            text.Append("\n- ").Append(tool.Name);
            if (!string.IsNullOrWhiteSpace(tool.Description))
            {
                text.Append(": ").Append(tool.Description.Trim());
            }

            text.Append(' ').Append(Json(tool.WriteParameters));
        }

        return text.ToString();
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, Writing))
        {
            write(json);
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    private static void CheckName(IReadOnlyList<PromptTool> tools, int index)
    {
        const int MaxLength = 128;
        string? name = tools[index]?.Name;
        if (name is not { Length: >= 1 and <= MaxLength } || !name.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-' or '.'))
        {
            string found = name is null ? "none" : $"{name.Length} characters";
            throw new ArgumentException(
                $"Tool {index}: expected a name of 1 to {MaxLength} ASCII letters, digits, '_', '-' and '.', found {found}.", nameof(tools));
        }
    }
}
