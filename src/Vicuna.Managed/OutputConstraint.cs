namespace Vicuna.Managed;

/// <summary>
/// A form that an answer must have. It is enforced while tokens are chosen: whatever the model's answer, once it ends by itself it has the form. An answer
/// that another limit ends (<see cref="FinishReason.MaxNewTokens"/> and so on) has the beginning of it.
/// Immutable and safe for concurrent use; make it once where many requests have it.
/// </summary>
public sealed class OutputConstraint
{
    private OutputConstraint(string description) => Description = description;

    /// <summary>What the form is, for people.</summary>
    public string Description { get; }

    /// <summary>Any JSON object.</summary>
    public static OutputConstraint JsonObject { get; } = new("json object");

    /// <summary>JSON of a schema: the subset that OpenAI's strict mode defines, with objects' properties in the schema's order.</summary>
    /// <param name="schema">The schema, as JSON text.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">The text is no JSON, or the schema is not of the subset; the message names the place.</exception>
    public static OutputConstraint JsonSchema(string schema) => throw new NotSupportedException(schema);

    /// <summary>Text that a regular expression describes as a whole.</summary>
    /// <param name="pattern">The expression.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">The expression is malformed or has parts that are not supported; the message names the place.</exception>
    public static OutputConstraint Regex(string pattern) => throw new NotSupportedException(pattern);

    /// <summary>One of some texts.</summary>
    /// <param name="choices">The texts, at least one, none empty.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">There are none, or one is empty.</exception>
    public static OutputConstraint Choice(IReadOnlyList<string> choices) => throw new NotSupportedException(choices.Count.ToString(System.Globalization.CultureInfo.InvariantCulture));
}
