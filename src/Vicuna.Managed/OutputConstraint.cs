using Vicuna.Managed.Constraints;

namespace Vicuna.Managed;

/// <summary>
/// A form that an answer must have. It is enforced while tokens are chosen: whatever the model's answer, once it ends by itself it has the form. An answer
/// that another limit ends (<see cref="FinishReason.MaxNewTokens"/> and so on) has the beginning of it.
/// Immutable and safe for concurrent use; make it once where many requests have it: what is computed for it is kept with it.
/// </summary>
public sealed class OutputConstraint
{
    private const int MaxChoices = 5000;
    private const int MaxChoiceCharacters = 512 * 1024;

    private OutputConstraint(string description, Grammar grammar) => (Description, Grammar) = (description, grammar);

    /// <summary>What the form is, for people.</summary>
    public string Description { get; }

    /// <summary>The texts that it allows.</summary>
    internal Grammar Grammar { get; }

    /// <summary>
    /// Any JSON object, with objects and arrays at most 32 deep. White space is at most one space, or a new line with indentation, at places where it is
    /// usual; numbers have at most 18 digits before and behind the point.
    /// </summary>
    public static OutputConstraint JsonObject { get; } = new("json object", SchemaCompiler.AnyObject());

    /// <summary>
    /// JSON of a schema: the subset that OpenAI's strict mode defines, with objects' properties in the schema's order. Properties that are not
    /// <c>required</c> may be left out. <c>additionalProperties</c> counts as false where it is missing; names that the schema does not have are only
    /// written where <c>properties</c> is missing or empty. Keywords that say nothing of the value's form are skipped; one that cannot be enforced is refused.
    /// </summary>
    /// <param name="schema">The schema, as JSON text of at most 512 Ki characters.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">The text is no JSON, or the schema is not of the subset or too large; the message names the place.</exception>
    public static OutputConstraint JsonSchema(string schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        return new OutputConstraint("json schema", SchemaCompiler.Compile(schema));
    }

    /// <summary>
    /// Text that a regular expression describes as a whole. What describes no regular language (lookaround, back references) or depends on options is
    /// not supported; <c>\d</c>, <c>\w</c> and <c>\s</c> are those of ECMA-262.
    /// </summary>
    /// <param name="pattern">The expression, at most 16 Ki characters.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">
    /// The expression is malformed, has parts that are not supported, or takes an automaton of too many states; the message names the place.
    /// </exception>
    public static OutputConstraint Regex(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        return new OutputConstraint($"regex {pattern}", GrammarBuilder.Of(RegexParser.Parse(pattern, "regular expression", isSearch: false), "regular expression"));
    }

    /// <summary>One of some texts.</summary>
    /// <param name="choices">The texts, at least one and at most 5,000 of together 512 Ki characters, none empty.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">There are none or too many, or one is empty or no valid Unicode.</exception>
    public static OutputConstraint Choice(IReadOnlyList<string> choices)
    {
        ArgumentNullException.ThrowIfNull(choices);
        if (choices.Count is 0 or > MaxChoices)
        {
            throw new ArgumentException($"Expected 1 to {MaxChoices} choices, found {choices.Count}.", nameof(choices));
        }

        long characters = 0;
        for (int i = 0; i < choices.Count; i++)
        {
            string choice = choices[i] ?? throw new ArgumentException($"Choice {i} is null.", nameof(choices));
            characters += choice.Length;
            if (choice.Length == 0 || !Pattern.IsUnicode(choice))
            {
                throw new ArgumentException($"Choice {i} is {(choice.Length == 0 ? "empty" : "no valid Unicode: it holds half a surrogate pair")}.", nameof(choices));
            }
        }

        return characters <= MaxChoiceCharacters
            ? new OutputConstraint($"one of {choices.Count} texts", GrammarBuilder.Of(new Pattern.Choice([.. choices.Select(Pattern.Text)]), "choices"))
            : throw new ArgumentException($"Expected choices of together at most {MaxChoiceCharacters} characters, found {characters}.", nameof(choices));
    }
}
