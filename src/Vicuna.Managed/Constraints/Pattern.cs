using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Constraints;

/// <summary>A set of texts, as an expression. Expressions are trees of limited depth; what repeats without end does so through <see cref="Call"/>.</summary>
internal abstract record Pattern
{
    /// <summary>The empty text.</summary>
    public static Pattern Empty { get; } = new Sequence([]);

    /// <summary>Whether a text is valid Unicode, as every text of an expression must be.</summary>
    public static bool IsUnicode(string text) => Surrogates.AreWellFormed(text);

    /// <summary>A fixed text.</summary>
    public static Pattern Text(string text)
    {
        List<Pattern> parts = [];
        for (int i = 0; i < text.Length; i += char.IsSurrogatePair(text, i) ? 2 : 1)
        {
            int value = char.ConvertToUtf32(text, i);
            parts.Add(new Characters(CodePointSet.Of([(value, value)])));
        }

        return new Sequence(parts);
    }

    /// <summary>An expression or nothing.</summary>
    public static Pattern Optional(Pattern part) => new Repeat(part, 0, 1);

    /// <summary>One character of a set.</summary>
    /// <param name="Set">The set.</param>
    public sealed record Characters(CodePointSet Set) : Pattern;

    /// <summary>One after the other.</summary>
    /// <param name="Parts">The expressions.</param>
    public sealed record Sequence(IReadOnlyList<Pattern> Parts) : Pattern;

    /// <summary>One of several.</summary>
    /// <param name="Options">The expressions.</param>
    public sealed record Choice(IReadOnlyList<Pattern> Options) : Pattern;

    /// <summary>One several times.</summary>
    /// <param name="Part">The expression.</param>
    /// <param name="Least">Least times.</param>
    /// <param name="Most">Most times; null = any number.</param>
    public sealed record Repeat(Pattern Part, int Least, int? Most) : Pattern;

    /// <summary>Whatever a rule of the grammar describes.</summary>
    /// <param name="Rule">The rule's number.</param>
    public sealed record Call(int Rule) : Pattern;

    /// <summary>Some in order, with a separator between those that are there.</summary>
    /// <param name="Parts">The expressions; one that is optional may be left out.</param>
    /// <param name="Separator">What stands between two.</param>
    public sealed record Joined(IReadOnlyList<(Pattern Part, bool IsOptional)> Parts, Pattern Separator) : Pattern;

    /// <summary>What two expressions, both without calls, describe at once.</summary>
    /// <param name="First">One.</param>
    /// <param name="Second">The other.</param>
    public sealed record Both(Pattern First, Pattern Second) : Pattern;

    /// <summary>What an automaton accepts.</summary>
    /// <param name="Automaton">The automaton, without calls.</param>
    public sealed record Accepted(ByteDfa Automaton) : Pattern;
}
