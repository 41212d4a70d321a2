using System.CommandLine;

namespace Vicuna.Managed.Cli;

/// <summary>The options of generate and chat that say what form an answer has.</summary>
internal sealed class ConstraintOptions
{
    private readonly Option<string?> _jsonSchema = new("--json-schema") { Description = "A file with a JSON schema that the answer must satisfy.", HelpName = "FILE" };
    private readonly Option<bool> _jsonObject = new("--json-object") { Description = "The answer must be a JSON object." };
    private readonly Option<string?> _regex = new("--regex") { Description = "A regular expression that the whole answer must match.", HelpName = "PATTERN" };

    private readonly Option<string[]> _choice = new("--choice")
    {
        Description = "A text that the answer may be; given several times, the answer is one of them.",
        HelpName = "TEXT",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>Adds the options to a verb.</summary>
    public ConstraintOptions(Command command)
    {
        foreach (Option option in new Option[] { _jsonSchema, _jsonObject, _regex, _choice })
        {
            command.Add(option);
        }
    }

    /// <summary>What the command line says; null where it says nothing.</summary>
    /// <exception cref="WrongUsageException">It says more than one thing.</exception>
    /// <exception cref="InvalidDataException">The schema's file, the expression or a text is no good.</exception>
    /// <exception cref="IOException">The schema's file cannot be read.</exception>
    public OutputConstraint? Read(ParseResult parsed)
    {
        string? schema = parsed.GetValue(_jsonSchema);
        string? regex = parsed.GetValue(_regex);
        string[] choices = parsed.GetValue(_choice) ?? [];
        bool isObject = parsed.GetValue(_jsonObject);
        if ((schema is null ? 0 : 1) + (regex is null ? 0 : 1) + (choices.Length == 0 ? 0 : 1) + (isObject ? 1 : 0) > 1)
        {
            throw new WrongUsageException("expected at most one of --json-schema, --json-object, --regex and --choice.");
        }

        try
        {
            return schema is not null ? OutputConstraint.JsonSchema(InputFiles.ReadText(schema))
                : regex is not null ? OutputConstraint.Regex(regex)
                : choices.Length > 0 ? OutputConstraint.Choice(choices)
                : isObject ? OutputConstraint.JsonObject
                : null;
        }
        catch (ArgumentException exception)
        {
            // The caller of the library would be wrong; here it is what the user has written.
            throw new InvalidDataException(schema is null ? exception.Message : $"{schema}: {exception.Message}", exception);
        }
    }
}
