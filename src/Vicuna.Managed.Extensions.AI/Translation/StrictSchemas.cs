using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>
/// Schemas as OpenAI's strict mode wants them, every property required and no others: what .NET types and functions give is short of that, and what is
/// of the stricter schema is of the given one too.
/// </summary>
internal static class StrictSchemas
{
    private static readonly AIJsonSchemaTransformCache Cache = new(new AIJsonSchemaTransformOptions
    {
        ConvertBooleanSchemas = true,
        DisallowAdditionalProperties = true,
        RequireAllProperties = true,
        MoveDefaultKeywordToDescription = true,
    });

    /// <summary>Schema of a function's arguments, as JSON text.</summary>
    public static string Of(AIFunctionDeclaration function) => Cache.GetOrCreateTransformedSchema(function).GetRawText();

    /// <summary>Schema of an answer, as JSON text; null where any object will do.</summary>
    public static string? Of(ChatResponseFormatJson format) => Cache.GetOrCreateTransformedSchema(format) is JsonElement schema ? schema.GetRawText() : null;
}
