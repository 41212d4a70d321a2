using System.Text;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Compiles JSON schemas; what is accepted must have a beginning.</summary>
internal static class JsonSchemaTarget
{
    public static string Name => "json-schema";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            """{"type":"object","properties":{"a":{"type":"string","maxLength":9},"b":{"enum":["x",1,null]}},"required":["a"],"additionalProperties":false}""",
            """{"$defs":{"n":{"type":["object","null"],"properties":{"next":{"$ref":"#/$defs/n"}},"required":["next"]}},"$ref":"#/$defs/n"}""",
            """{"anyOf":[{"type":"integer","minimum":-3,"exclusiveMaximum":2.5e1,"multipleOf":3},{"type":"number","maximum":0.5},{"$ref":"#"}]}""",
            """{"type":"array","items":{"type":"string","pattern":"^a+[b-c]{2,3}$","format":"date"},"minItems":1,"maxItems":4}""",
            """{"type":"object","additionalProperties":{"const":{"a":[1,"\u00e9"]}}}""",
            """{"allOf":[{"type":"string","format":"ipv6","minLength":3}],"description":"d"}""",
            "true",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        try
        {
            Assert.NotEmpty(new Vicuna.Managed.Constraints.PushdownMachine(OutputConstraint.JsonSchema(Encoding.UTF8.GetString(input)).Grammar).Start.Frames);
        }
        catch (ArgumentException exception) when (exception.GetType() == typeof(ArgumentException))
        {
            // The refusal of a caller's argument is here what a damaged file's is to the other targets.
            throw new ModelFormatException(exception.Message);
        }
    }
}
