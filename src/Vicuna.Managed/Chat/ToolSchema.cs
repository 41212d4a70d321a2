using System.Text.Json;

namespace Vicuna.Managed.Chat;

/// <summary>
/// The schema of a tool's arguments, and its place in the schema of an answer. There it is a definition of its own, as are its own definitions, and what
/// it refers to is renamed to match: a reference counts from the root of the schema that it was written in.
/// </summary>
internal sealed class ToolSchema : IDisposable
{
    /// <summary>Member of a call that names the tool.</summary>
    public const string Tool = "tool";

    /// <summary>Member of a call that has the arguments.</summary>
    public const string Arguments = "arguments";

    /// <summary>Member of an answer in words.</summary>
    public const string Answer = "answer";

    private const string None = """{"type":"object","properties":{},"required":[],"additionalProperties":false}""";
    private const string Definitions = "$defs";
    private const string OlderDefinitions = "definitions";
    private const string Reference = "$ref";
    private const string TypeKeyword = "type";
    private const string ObjectType = "object";

    private readonly JsonDocument _parameters;

    private ToolSchema(PromptTool tool)
    {
        (Name, Description) = (tool.Name, tool.Description);
        _parameters = ParseObject(tool.Parameters ?? None, $"Parameters of {tool.Name}");
        try
        {
            // Texts are looked into no earlier than they are read.
            using Utf8JsonWriter json = new(Stream.Null);
            json.WriteStartObject();
            WriteDefinitions(json);
        }
        catch (ArgumentException)
        {
            _parameters.Dispose();
            throw;
        }
        catch (InvalidOperationException exception)
        {
            _parameters.Dispose();
            throw new ArgumentException($"Parameters of {tool.Name}: expected Unicode text, found half of a surrogate pair.", nameof(tool), exception);
        }
    }

    /// <summary>The tool's name.</summary>
    public string Name { get; }

    /// <summary>What it does, or null.</summary>
    public string? Description { get; }

    /// <summary>Reads the schema.</summary>
    /// <exception cref="ArgumentException">It is no JSON object, or of values that are none.</exception>
    public static ToolSchema Parse(PromptTool tool) => new(tool);

    /// <summary>Parses a text that must be a JSON object.</summary>
    /// <exception cref="ArgumentException">It is none; the message says whose.</exception>
    public static JsonDocument ParseObject(string text, string owner)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(text);
        }
        catch (JsonException exception)
        {
            string place = $"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}";
            throw new ArgumentException($"{owner}: expected a JSON object, found other text at {place}.", nameof(text), exception);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        JsonValueKind found = document.RootElement.ValueKind;
        document.Dispose();
        throw new ArgumentException($"{owner}: expected a JSON object, found {found}.", nameof(text));
    }

    /// <summary>Writes the schema of an answer.</summary>
    /// <param name="json">Receives it.</param>
    /// <param name="tools">The tools that may be called.</param>
    /// <param name="mayAnswer">Whether it may be words.</param>
    public static void WriteAnswer(Utf8JsonWriter json, IReadOnlyList<ToolSchema> tools, bool mayAnswer)
    {
        json.WriteStartObject();
        if (tools.Count == 1 && !mayAnswer)
        {
            tools[0].WriteCall(json);
        }
        else
        {
            json.WriteStartArray("anyOf");
            foreach (ToolSchema tool in tools)
            {
                json.WriteStartObject();
                tool.WriteCall(json);
                json.WriteEndObject();
            }

            if (mayAnswer)
            {
                json.WriteStartObject();
                WriteObject(json, (Answer, () => json.WriteString("type", "string")));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteStartObject(Definitions);
        foreach (ToolSchema tool in tools)
        {
            tool.WriteDefinitions(json);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Writes the schema of the arguments as it was given, without needless space.</summary>
    public void WriteParameters(Utf8JsonWriter json) => _parameters.RootElement.WriteTo(json);

    /// <inheritdoc/>
    public void Dispose() => _parameters.Dispose();

    private static void WriteObject(Utf8JsonWriter json, params ReadOnlySpan<(string Name, Action Write)> properties)
    {
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        foreach ((string name, Action write) in properties)
        {
            json.WriteStartObject(name);
            write();
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteStartArray("required");
        foreach ((string name, Action _) in properties)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
        json.WriteBoolean("additionalProperties", false);
    }

    private void WriteCall(Utf8JsonWriter json) =>
        WriteObject(json, (Tool, () => json.WriteString("const", Name)), (Arguments, () => json.WriteString(Reference, $"#/{Definitions}/{Name}")));

    private void WriteDefinitions(Utf8JsonWriter json)
    {
        JsonElement root = _parameters.RootElement;
        json.WriteStartObject(Name);
        if (HasType(root) || !root.EnumerateObject().Any(property => property.Name is Reference or "anyOf" or "oneOf" or "allOf" or "enum" or "const"))
        {
            // Arguments are an object, even where the schema does not say so, or allows something else too.
            json.WriteString(TypeKeyword, ObjectType);
        }

        foreach (JsonProperty property in root.EnumerateObject().Where(property => !IsDefinitions(property) && property.Name != TypeKeyword))
        {
            WriteMember(json, property);
        }

        json.WriteEndObject();
        foreach (JsonProperty group in root.EnumerateObject().Where(IsDefinitions))
        {
            foreach (JsonProperty definition in group.Value.EnumerateObject())
            {
                json.WritePropertyName($"{Name}:{definition.Name}");
                Write(json, definition.Value);
            }
        }
    }

    private bool HasType(JsonElement root)
    {
        if (!root.TryGetProperty(TypeKeyword, out JsonElement type))
        {
            return false;
        }

        IEnumerable<JsonElement> types = type.ValueKind == JsonValueKind.Array ? type.EnumerateArray() : [type];
        return types.Any(one => one.ValueKind == JsonValueKind.String && one.GetString() == ObjectType)
            ? true
            : throw new ArgumentException($"Parameters of {Name}: expected the type '{ObjectType}', found {type.GetRawText()}.");
    }

    private static bool IsDefinitions(JsonProperty property) =>
        property.Name is Definitions or OlderDefinitions && property.Value.ValueKind == JsonValueKind.Object;

    // Depth is bounded by the parser's.
    private void Write(Utf8JsonWriter json, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (JsonProperty property in value.EnumerateObject())
                {
                    WriteMember(json, property);
                }

                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (JsonElement element in value.EnumerateArray())
                {
                    Write(json, element);
                }

                json.WriteEndArray();
                break;
            default:
                value.WriteTo(json);
                break;
        }
    }

    private void WriteMember(Utf8JsonWriter json, JsonProperty property)
    {
        json.WritePropertyName(property.Name);
        if (property.Name == Reference && property.Value.ValueKind == JsonValueKind.String)
        {
            json.WriteStringValue(Renamed(property.Value.GetString()!));
        }
        else if (property.Name is "const" or "enum" or "default" or "examples" && property.Value.ValueKind != JsonValueKind.Object)
        {
            // Values, not schemas: what looks like a reference in them is none.
            property.Value.WriteTo(json);
        }
        else
        {
            Write(json, property.Value);
        }
    }

    private string Renamed(string reference)
    {
        foreach (string group in (ReadOnlySpan<string>)[$"#/{Definitions}/", $"#/{OlderDefinitions}/"])
        {
            if (reference.StartsWith(group, StringComparison.Ordinal))
            {
                return $"#/{Definitions}/{Name}:{reference[group.Length..]}";
            }
        }

        return reference == "#" ? $"#/{Definitions}/{Name}"
            : reference.StartsWith("#/", StringComparison.Ordinal) ? $"#/{Definitions}/{Name}/{reference[2..]}"
            : reference;
    }
}
