using System.Text.Json;

namespace Vicuna.Managed.Constraints;

/// <summary>
/// Makes rules of a JSON schema: the subset that OpenAI's strict mode defines, and properties that may be left out. A keyword outside it is refused by
/// name. Subschemas are worked off from a list, so that a deep schema takes no deep stack.
/// </summary>
internal sealed class SchemaCompiler
{
    private const int MaxParts = 5000;
    private const int MaxReferences = 64;

    private static readonly HashSet<string> Annotations = new(StringComparer.Ordinal)
    {
        "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "strict",
    };

    private static readonly Dictionary<string, string> TypeOfKeyword = new(StringComparer.Ordinal)
    {
        ["properties"] = "object", ["required"] = "object", ["additionalProperties"] = "object",
        ["items"] = "array", ["minItems"] = "array", ["maxItems"] = "array", ["uniqueItems"] = "array",
        ["pattern"] = "string", ["format"] = "string", ["minLength"] = "string", ["maxLength"] = "string",
        ["minimum"] = "number", ["maximum"] = "number", ["exclusiveMinimum"] = "number", ["exclusiveMaximum"] = "number", ["multipleOf"] = "number",
    };

    private readonly SchemaReader _schema;
    private readonly GrammarBuilder _builder = new("JSON schema");
    private readonly JsonRules _json;
    private readonly LeafPatterns _leaves;
    private readonly Dictionary<string, int> _rules = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Pointer, string Type), int> _typeRules = [];
    private readonly Queue<(JsonElement Schema, string Pointer, int Rule)> _open = new();
    private int _parts;

    private SchemaCompiler(SchemaReader schema)
    {
        _schema = schema;
        _json = new JsonRules(_builder);
        _leaves = new LeafPatterns(_builder.Budget);
    }

    /// <summary>Compiles a schema.</summary>
    /// <param name="schema">JSON text.</param>
    /// <exception cref="ArgumentException">It is not of the subset, or too large; the message names the place.</exception>
    public static Grammar Compile(string schema)
    {
        using SchemaReader reader = new(schema);
        SchemaCompiler compiler = new(reader);
        int start = compiler.RuleOf(reader.Root, "#");
        while (compiler._open.TryDequeue(out (JsonElement Schema, string Pointer, int Rule) next))
        {
            compiler._builder.Define(next.Rule, compiler.Compile(next.Schema, next.Pointer));
        }

        return compiler._builder.Build(start);
    }

    /// <summary>The grammar of any JSON object.</summary>
    public static Grammar AnyObject()
    {
        GrammarBuilder builder = new("JSON object");
        return builder.Build(new JsonRules(builder).Object);
    }

    // The rule of a schema, which is on the list if it is new.
    private int RuleOf(JsonElement schema, string pointer)
    {
        for (int steps = 0; schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("$ref", out JsonElement reference); steps++)
        {
            CheckKeywords(schema, pointer, keyword => keyword == "$ref", "beside '$ref'");
            if (steps == MaxReferences)
            {
                throw SchemaReader.Error(pointer, $"$ref: refers to itself, or goes on for more than {MaxReferences} references.");
            }

            (schema, pointer) = _schema.Find(SchemaReader.String(reference, pointer, "$ref"), pointer);
        }

        if (_rules.TryGetValue(pointer, out int rule))
        {
            return rule;
        }

        TakePart(pointer);
        string[] types = schema.ValueKind == JsonValueKind.Object ? TypesOf(schema, pointer) : [];
        _builder.Budget.Name = $"JSON schema at {pointer}";
        bool isValue = schema.ValueKind == JsonValueKind.True || (schema.ValueKind == JsonValueKind.Object && types.Length == 0 && !HasForm(schema));
        if (isValue)
        {
            CheckKeywords(schema, pointer, _ => false, "here");
            return _rules[pointer] = _json.Value;
        }

        if (types is [string leaf] && leaf is not ("object" or "array") && !HasForm(schema))
        {
            return _rules[pointer] = RuleOfType(leaf, schema, pointer);
        }

        rule = _builder.Reserve($"JSON schema at {pointer}", types is ["object"] or ["array"] && !HasForm(schema));
        _rules.Add(pointer, rule);
        _open.Enqueue((schema, pointer, rule));
        return rule;
    }

    private static bool HasForm(JsonElement schema) =>
        schema.TryGetProperty("enum", out _) || schema.TryGetProperty("const", out _) || schema.TryGetProperty("anyOf", out _) || schema.TryGetProperty("allOf", out _);

    private Pattern Compile(JsonElement schema, string pointer)
    {
        if (schema.ValueKind != JsonValueKind.Object)
        {
            throw SchemaReader.Error(pointer, schema.ValueKind == JsonValueKind.False
                ? "'false' allows no value." : $"expected a schema, found {SchemaReader.Shown(schema)}.");
        }

        if (schema.TryGetProperty("anyOf", out JsonElement anyOf))
        {
            return CompileAlternatives(schema, anyOf, pointer, "anyOf");
        }

        if (schema.TryGetProperty("allOf", out JsonElement allOf))
        {
            return allOf.ValueKind == JsonValueKind.Array && allOf.GetArrayLength() == 1
                ? CompileAlternatives(schema, allOf, pointer, "allOf")
                : throw SchemaReader.Error(pointer, "'allOf' of more than one schema is not supported.");
        }

        if (schema.TryGetProperty("const", out JsonElement constant))
        {
            CheckKeywords(schema, pointer, keyword => keyword is "const" or "type", "beside 'const'");
            return ValuesOf(schema, [constant], pointer);
        }

        if (schema.TryGetProperty("enum", out JsonElement values))
        {
            CheckKeywords(schema, pointer, keyword => keyword is "enum" or "type", "beside 'enum'");
            return values.ValueKind == JsonValueKind.Array
                ? ValuesOf(schema, values.EnumerateArray(), pointer)
                : throw SchemaReader.Error(pointer, $"'enum': expected an array, found {values.ValueKind}.");
        }

        string[] types = TypesOf(schema, pointer);
        return types switch
        {
            ["object"] => CompileObject(schema, pointer),
            ["array"] => CompileArray(schema, pointer),
            _ => new Pattern.Choice([.. types.Select(type => new Pattern.Call(RuleOfType(type, schema, pointer)))]),
        };
    }

    private Pattern.Choice CompileAlternatives(JsonElement schema, JsonElement alternatives, string pointer, string keyword)
    {
        CheckKeywords(schema, pointer, name => name == keyword, $"beside '{keyword}'");
        if (alternatives.ValueKind != JsonValueKind.Array || alternatives.GetArrayLength() == 0)
        {
            throw SchemaReader.Error(pointer, $"'{keyword}': expected an array of schemas.");
        }

        string at = SchemaReader.Join(pointer, keyword);
        return new Pattern.Choice([.. alternatives.EnumerateArray().Select((option, i) => new Pattern.Call(RuleOf(option, SchemaReader.Join(at, $"{i}"))))]);
    }

    // The rule of one of a schema's types.
    private int RuleOfType(string type, JsonElement schema, string pointer)
    {
        CheckKeywords(schema, pointer, keyword => keyword == "type" || TypeOfKeyword.ContainsKey(keyword), "here");
        if (type is "object" or "array")
        {
            if (!_typeRules.TryGetValue((pointer, type), out int rule))
            {
                rule = _builder.Reserve($"JSON schema at {pointer}", isNested: true);
                _typeRules.Add((pointer, type), rule);
                _builder.Define(rule, type == "object" ? CompileObject(schema, pointer) : CompileArray(schema, pointer));
            }

            return rule;
        }

        _builder.Budget.Name = $"JSON schema at {pointer}";
        (string key, Func<Pattern> pattern) = _leaves.Of(type, schema, pointer);
        return _json.Leaf(key, pattern);
    }

    private Pattern CompileObject(JsonElement schema, string pointer)
    {
        CheckKeywords(schema, pointer, keyword => keyword == "type" || TypeOfKeyword.ContainsKey(keyword), "here");
        HashSet<string> required = Required(schema, pointer);
        bool hasProperties = schema.TryGetProperty("properties", out JsonElement properties);
        bool hasMore = schema.TryGetProperty("additionalProperties", out JsonElement more);
        if (hasProperties && properties.ValueKind != JsonValueKind.Object)
        {
            throw SchemaReader.Error(pointer, $"'properties': expected an object, found {properties.ValueKind}.");
        }

        string at = SchemaReader.Join(pointer, "properties");
        List<(Pattern Member, bool IsOptional)> members = [];
        foreach (JsonProperty property in hasProperties ? properties.EnumerateObject() : default)
        {
            TakePart(at);
            string name = property.Name;
            int value = RuleOf(property.Value, SchemaReader.Join(at, name));
            members.Add((JsonRules.Member(JsonText.Literal(name), value), !required.Remove(name)));
        }

        if (required.Count > 0)
        {
            throw SchemaReader.Error(pointer, $"'required' names '{required.First()}', which is not in 'properties'.");
        }

        // Names that are not in the schema are only made where it has none of its own: beside those they need not be.
        bool isMap = members.Count == 0 && (hasMore ? more.ValueKind != JsonValueKind.False : !hasProperties);
        if (hasMore && more.ValueKind is not (JsonValueKind.True or JsonValueKind.False or JsonValueKind.Object))
        {
            throw SchemaReader.Error(pointer, $"'additionalProperties': expected a schema, true or false, found {more.ValueKind}.");
        }

        return !isMap ? _json.ObjectOf(members)
            : _json.MapOf(hasMore ? RuleOf(more, SchemaReader.Join(pointer, "additionalProperties")) : _json.Value);
    }

    private static HashSet<string> Required(JsonElement schema, string pointer)
    {
        if (!schema.TryGetProperty("required", out JsonElement required))
        {
            return [];
        }

        return required.ValueKind == JsonValueKind.Array
            ? [.. required.EnumerateArray().Select(name => SchemaReader.String(name, pointer, "required"))]
            : throw SchemaReader.Error(pointer, $"'required': expected an array of names, found {required.ValueKind}.");
    }

    private Pattern CompileArray(JsonElement schema, string pointer)
    {
        CheckKeywords(schema, pointer, keyword => keyword == "type" || TypeOfKeyword.ContainsKey(keyword), "here");
        int least = SchemaReader.Count(schema, pointer, "minItems") ?? 0;
        int? most = SchemaReader.Count(schema, pointer, "maxItems");
        if (least > (most ?? least))
        {
            throw SchemaReader.Error(pointer, $"'minItems' is {least}, more than 'maxItems', {most}.");
        }

        if (schema.TryGetProperty("uniqueItems", out JsonElement unique) && unique.ValueKind != JsonValueKind.False)
        {
            throw SchemaReader.Error(pointer, "'uniqueItems' is not supported.");
        }

        int item = schema.TryGetProperty("items", out JsonElement items) ? RuleOf(items, SchemaReader.Join(pointer, "items")) : _json.Value;
        return _json.ArrayOf(item, least, most);
    }

    private Pattern.Choice ValuesOf(JsonElement schema, IEnumerable<JsonElement> values, string pointer)
    {
        string[] types = schema.TryGetProperty("type", out _) ? TypesOf(schema, pointer) : [];
        List<Pattern> texts = [];
        foreach (JsonElement value in values)
        {
            TakePart(pointer);
            if (types.Length == 0 || types.Any(type => IsOf(value, type)))
            {
                texts.Add(value.ValueKind == JsonValueKind.String ? JsonText.Literal(value.GetString()!) : JsonText.Literal(value));
            }
        }

        return texts.Count > 0 ? new Pattern.Choice(texts) : throw SchemaReader.Error(pointer, "no value of 'enum' or 'const' is of the 'type'.");
    }

    private static bool IsOf(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => type == "boolean",
        JsonValueKind.Null => type == "null",
        JsonValueKind.String => type == "string",
        JsonValueKind.Array => type == "array",
        JsonValueKind.Object => type == "object",
        _ => type == "number" || (type == "integer" && DecimalText.Read(value.GetRawText())?.Fraction.Length == 0),
    };

    // The types that 'type' names; where it is not there, the one that the other keywords are about.
    private static string[] TypesOf(JsonElement schema, string pointer)
    {
        if (!schema.TryGetProperty("type", out JsonElement type))
        {
            return [.. schema.EnumerateObject().Select(property => TypeOfKeyword.GetValueOrDefault(property.Name)).OfType<string>().Take(1)];
        }

        string[] types = type.ValueKind == JsonValueKind.Array
            ? [.. type.EnumerateArray().Select(name => SchemaReader.String(name, pointer, "type")).Distinct()]
            : [SchemaReader.String(type, pointer, "type")];
        foreach (string name in types)
        {
            if (name is not ("object" or "array" or "string" or "number" or "integer" or "boolean" or "null"))
            {
                throw SchemaReader.Error(pointer, $"'type': '{name}' is no type of JSON.");
            }
        }

        return types.Length > 0 ? types : throw SchemaReader.Error(pointer, "'type' names no type.");
    }

    private static void CheckKeywords(JsonElement schema, string pointer, Func<string, bool> isKnown, string where)
    {
        foreach (JsonProperty property in schema.ValueKind == JsonValueKind.Object ? schema.EnumerateObject() : default)
        {
            if (!isKnown(property.Name) && !Annotations.Contains(property.Name))
            {
                throw SchemaReader.Error(pointer, $"'{property.Name}' is not supported {where}.");
            }
        }
    }

    private void TakePart(string pointer)
    {
        if (++_parts > MaxParts)
        {
            throw SchemaReader.Error(pointer, $"expected at most {MaxParts} subschemas, properties and values of 'enum'.");
        }
    }
}
