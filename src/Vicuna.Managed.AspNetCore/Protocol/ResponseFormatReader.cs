using System.Text.Json;
using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Reads the form that an answer must have.</summary>
internal static class ResponseFormatReader
{
    private const string Name = "response_format";

    /// <summary>Reads the member <c>response_format</c>.</summary>
    /// <param name="body">The request.</param>
    /// <param name="forms">Forms that earlier requests had.</param>
    /// <returns>The form; null for any text.</returns>
    /// <exception cref="ApiException">It is unknown, or its schema is missing or not supported.</exception>
    public static OutputConstraint? Read(Fields body, OutputConstraintCache forms)
    {
        if (body.Object(Name) is not { } format)
        {
            return null;
        }

        switch (format.String("type"))
        {
            case "text":
                return null;
            case "json_object":
                return OutputConstraint.JsonObject;
            case "json_schema":
                string path = $"{Name}.json_schema";
                if (format.Object("json_schema") is not { } description || !description.Has("schema", out JsonElement schema))
                {
                    throw Errors.Invalid($"{path}.schema", $"{path}.schema: expected a schema, found none.", "missing_required_parameter");
                }

                _ = Fields.Of(schema, $"{path}.schema");
                try
                {
                    return forms.JsonSchema(schema.GetRawText());
                }
                catch (ArgumentException exception)
                {
                    throw Errors.Invalid(Name, $"{path}.schema: {Text.OneLine(exception)}", "invalid_schema");
                }

            default:
                _ = format.Has("type", out JsonElement type);
                throw type.ValueKind == JsonValueKind.Undefined
                    ? Errors.Invalid($"{Name}.type", $"{Name}.type: expected one of text, json_object, json_schema, found none.", "missing_required_parameter")
                    : Fields.Wrong($"{Name}.type", "one of text, json_object, json_schema", type);
        }
    }
}
