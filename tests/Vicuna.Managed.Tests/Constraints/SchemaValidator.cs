using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Vicuna.Managed.Tests.Constraints;

/// <summary>A small JSON schema validator, written from the specification and independent of the library: it looks at values, never at text.</summary>
internal sealed class SchemaValidator(JsonElement root)
{
    /// <summary>What is wrong with a value; null if nothing is.</summary>
    public string? Check(JsonElement value) => Check(value, root, "$");

    private string? Check(JsonElement value, JsonElement schema, string path)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return schema.ValueKind == JsonValueKind.True ? null : $"{path}: false";
        }

        return schema.EnumerateObject().Select(keyword => Check(value, schema, keyword.Name, keyword.Value, path)).FirstOrDefault(problem => problem is not null);
    }

    private string? Check(JsonElement value, JsonElement schema, string keyword, JsonElement argument, string path)
    {
        string text = value.ValueKind == JsonValueKind.String ? value.GetString()! : string.Empty;
        int length = text.EnumerateRunes().Count();
        bool isText = value.ValueKind == JsonValueKind.String;
        bool isNumber = value.ValueKind == JsonValueKind.Number;
        bool isArray = value.ValueKind == JsonValueKind.Array;
        bool holds = keyword switch
        {
            "type" => argument.ValueKind == JsonValueKind.Array ? argument.EnumerateArray().Any(type => IsOf(value, type.GetString()!)) : IsOf(value, argument.GetString()!),
            "const" => JsonElement.DeepEquals(value, argument),
            "enum" => argument.EnumerateArray().Any(option => JsonElement.DeepEquals(value, option)),
            "anyOf" => argument.EnumerateArray().Any(option => Check(value, option, path) is null),
            "allOf" => argument.EnumerateArray().All(option => Check(value, option, path) is null),
            "minLength" => !isText || length >= argument.GetInt32(),
            "maxLength" => !isText || length <= argument.GetInt32(),
            "pattern" => !isText || Regex.IsMatch(text, argument.GetString()!.Replace("$", "\\z", StringComparison.Ordinal), RegexOptions.ECMAScript),
            "format" => !isText || HasFormat(text, argument.GetString()!),
            "minimum" => !isNumber || Number(value) >= Number(argument),
            "maximum" => !isNumber || Number(value) <= Number(argument),
            "exclusiveMinimum" => !isNumber || Number(value) > Number(argument),
            "exclusiveMaximum" => !isNumber || Number(value) < Number(argument),
            "multipleOf" => !isNumber || Number(value) % Number(argument) == 0,
            "minItems" => !isArray || value.GetArrayLength() >= argument.GetInt32(),
            "maxItems" => !isArray || value.GetArrayLength() <= argument.GetInt32(),
            "required" => value.ValueKind != JsonValueKind.Object || argument.EnumerateArray().All(name => value.TryGetProperty(name.GetString()!, out _)),
            _ => true,
        };
        if (!holds)
        {
            return $"{path}: {keyword} {argument.GetRawText()} found {value.GetRawText()}";
        }

        return keyword switch
        {
            "$ref" => Check(value, Find(argument.GetString()!), path),
            "items" when isArray => value.EnumerateArray().Select((item, i) => Check(item, argument, $"{path}[{i}]")).FirstOrDefault(problem => problem is not null),
            "properties" when value.ValueKind == JsonValueKind.Object => argument.EnumerateObject()
                .Select(property => value.TryGetProperty(property.Name, out JsonElement member) ? Check(member, property.Value, $"{path}.{property.Name}") : null)
                .FirstOrDefault(problem => problem is not null),
            "additionalProperties" when value.ValueKind == JsonValueKind.Object => value.EnumerateObject()
                .Where(member => !schema.TryGetProperty("properties", out JsonElement known) || !known.TryGetProperty(member.Name, out _))
                .Select(member => Check(member.Value, argument, $"{path}.{member.Name}")).FirstOrDefault(problem => problem is not null),
            _ => null,
        };
    }

    private JsonElement Find(string reference) =>
        reference.Split('/').Skip(1).Aggregate(root, (at, name) => at.GetProperty(name.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)));

    private static decimal Number(JsonElement value) => decimal.Parse(value.GetRawText(), NumberStyles.Float, CultureInfo.InvariantCulture);

    private static bool IsOf(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "integer" => value.ValueKind == JsonValueKind.Number && BigInteger.TryParse(value.GetRawText(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
        _ => value.ValueKind == JsonValueKind.Number,
    };

    private static bool HasFormat(string text, string format) => format switch
    {
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "date-time" => text.Contains('T', StringComparison.Ordinal) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "time" => DateTimeOffset.TryParse("2000-01-01T" + text, CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "duration" => Duration(text),
        "ipv4" => System.Net.IPAddress.TryParse(text, out System.Net.IPAddress? four) && four.ToString() == text,
        "ipv6" => System.Net.IPAddress.TryParse(text, out System.Net.IPAddress? six) && six.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6,
        "uuid" => Guid.TryParseExact(text, "D", out _),
        "email" => System.Net.Mail.MailAddress.TryCreate(text, out System.Net.Mail.MailAddress? address) && address.Address == text,
        "hostname" => Uri.CheckHostName(text) is UriHostNameType.Dns or UriHostNameType.IPv4 && Encoding.UTF8.GetByteCount(text) <= 253,
        _ => false,
    };

    private static bool Duration(string text)
    {
        try
        {
            System.Xml.XmlConvert.ToTimeSpan(text);
            return true;
        }
        catch (FormatException)
        {
            // .NET has no weeks.
            return Regex.IsMatch(text, "^P\\d+W\\z");
        }
        catch (OverflowException)
        {
            return true;
        }
    }
}
