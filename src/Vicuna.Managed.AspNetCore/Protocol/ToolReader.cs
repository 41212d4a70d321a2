using System.Text.Json;
using Vicuna.Managed.AspNetCore.Hosting;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Reads the tools that an answer may call.</summary>
internal static class ToolReader
{
    private const string Name = "tools";
    private const string ChoiceName = "tool_choice";
    private const string Off =
        "expected none: this model was not made for tools. The server can describe them in the prompt, with its option EnablePromptTools (--prompt-tools).";

    /// <summary>Reads the members <c>tools</c> and <c>tool_choice</c>.</summary>
    /// <param name="body">The request.</param>
    /// <param name="served">The model.</param>
    /// <param name="options">Whether tools are described in the prompt.</param>
    /// <returns>The tools; null where there are none, or none may be called.</returns>
    /// <exception cref="ApiException">They are not as they should be, or the server has them switched off.</exception>
    public static ToolRequest? Read(Fields body, ServedModel served, VicunaServerOptions options)
    {
        foreach (string older in new[] { "functions", "function_call" })
        {
            if (body.Has(older, out _))
            {
                throw Errors.Unsupported(older, $"{older}: expected {Name} and {ChoiceName} in the place of it; it is not supported.");
            }
        }

        _ = body.Flag("parallel_tool_calls");
        List<PromptTool> tools = ReadTools(body);
        Choice choice = ReadChoice(body);
        if (choice.MustCall && tools.Count == 0)
        {
            throw Errors.Invalid(ChoiceName, $"{ChoiceName}: expected {Name} with it, found none.");
        }

        if (!choice.MayCall || tools.Count == 0)
        {
            return null;
        }

        if (!options.EnablePromptTools)
        {
            throw Errors.Unsupported(Name, $"{Name}: {Off}");
        }

        if (body.Object("response_format") is { } format && format.String("type") != "text")
        {
            throw Errors.Unsupported("response_format", $"response_format: expected none, or 'text', with {Name}: they give the answer a form already.");
        }

        if (body.Flag("logprobs"))
        {
            throw Errors.Unsupported("logprobs", $"logprobs: expected none together with {Name}: the tokens are not those of the answer's text.");
        }

        return Make(served, tools, choice);
    }

    private static ToolRequest Make(ServedModel served, List<PromptTool> tools, Choice choice)
    {
        if (choice.Only is { } only && !tools.Exists(tool => tool.Name == only))
        {
            throw Errors.Invalid(ChoiceName, $"{ChoiceName}: expected the name of one of the tools, found '{Text.Printable(only, 80)}'.");
        }

        try
        {
            PromptTools described = new(tools, choice.MustCall, choice.Only);
            return new ToolRequest(described, served.Constraints.JsonSchema(described.Schema));
        }
        catch (ArgumentException exception)
        {
            throw Errors.Invalid(Name, $"{Name}: {Text.OneLine(exception)}", "invalid_schema");
        }
    }

    private static List<PromptTool> ReadTools(Fields body)
    {
        List<PromptTool> tools = [];
        if (!body.Has(Name, out JsonElement array))
        {
            return tools;
        }

        if (array.ValueKind != JsonValueKind.Array || array.GetArrayLength() > PromptTools.MaxTools)
        {
            throw Fields.Wrong(Name, $"an array of at most {PromptTools.MaxTools} tools", array);
        }

        foreach (JsonElement element in array.EnumerateArray())
        {
            Fields tool = Fields.Of(element, $"{Name}[{tools.Count}]");
            string typePath = tool.PathOf("type");
            if (tool.String("type") is not "function")
            {
                throw tool.Has("type", out JsonElement type)
                    ? Fields.Wrong(typePath, "'function'", type)
                    : Errors.Invalid(typePath, $"{typePath}: expected 'function', found none.", "missing_required_parameter");
            }

            string path = tool.PathOf("function");
            if (tool.Object("function") is not { } function || function.String("name") is not { } name)
            {
                throw Errors.Invalid(path, $"{path}: expected a function with a name, found none.", "missing_required_parameter");
            }

            tools.Add(new PromptTool(name, function.String("description"), ReadParameters(function)));
        }

        return tools;
    }

    private static string? ReadParameters(Fields function)
    {
        const string Parameters = "parameters";
        if (!function.Has(Parameters, out JsonElement schema))
        {
            return null;
        }

        _ = Fields.Of(schema, function.PathOf(Parameters));
        // A function without arguments has an empty schema with some clients: to a schema that means anything, to them nothing.
        return schema.EnumerateObject().Any() ? schema.GetRawText() : null;
    }

    private static Choice ReadChoice(Fields body)
    {
        const string Expected = "none, auto, required, or an object that names a function";
        if (!body.Has(ChoiceName, out JsonElement value))
        {
            return new Choice(MayCall: true, MustCall: false, null);
        }

        if (value.ValueKind == JsonValueKind.Object)
        {
            string path = $"{ChoiceName}.function";
            return Fields.Of(value, ChoiceName).Object("function")?.String("name") is { } name
                ? new Choice(MayCall: true, MustCall: true, name)
                : throw Errors.Invalid(path, $"{path}: expected a function with a name, found none.", "missing_required_parameter");
        }

        return (value.ValueKind == JsonValueKind.String ? Fields.StringOf(value, ChoiceName) : null) switch
        {
            "none" => new Choice(MayCall: false, MustCall: false, null),
            "auto" => new Choice(MayCall: true, MustCall: false, null),
            "required" => new Choice(MayCall: true, MustCall: true, null),
            _ => throw Fields.Wrong(ChoiceName, Expected, value),
        };
    }

    private readonly record struct Choice(bool MayCall, bool MustCall, string? Only);
}
