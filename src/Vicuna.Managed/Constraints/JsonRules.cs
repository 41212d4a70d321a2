namespace Vicuna.Managed.Constraints;

/// <summary>Rules for JSON of any form, made when they are first asked for.</summary>
/// <param name="builder">Receives them.</param>
internal sealed class JsonRules(GrammarBuilder builder)
{
    private readonly Dictionary<string, int> _rules = new(StringComparer.Ordinal);
    private int? _value;

    /// <summary>Optional white space.</summary>
    public Pattern Space => Pattern.Optional(new Pattern.Call(Leaf("white space", () => JsonText.Space)));

    /// <summary>Rule of any string.</summary>
    public int String => Leaf("string", () => JsonText.String(0, null));

    /// <summary>Rule of any value.</summary>
    public int Value
    {
        get
        {
            DefineAll();
            return _value!.Value;
        }
    }

    /// <summary>Rule of any object.</summary>
    public int Object
    {
        get
        {
            DefineAll();
            return _rules["object"];
        }
    }

    /// <summary>A rule without calls, one for each form.</summary>
    /// <param name="key">Says what the form is.</param>
    /// <param name="pattern">The form.</param>
    public int Leaf(string key, Func<Pattern> pattern)
    {
        if (!_rules.TryGetValue(key, out int rule))
        {
            rule = builder.Add(builder.Budget.Name, pattern());
            _rules.Add(key, rule);
        }

        return rule;
    }

    /// <summary>Members of an object.</summary>
    /// <param name="members">Each with whether it may be left out, in order.</param>
    public Pattern ObjectOf(IReadOnlyList<(Pattern Member, bool IsOptional)> members) => new Pattern.Sequence(
        [Pattern.Text("{"), Space, new Pattern.Joined(members, Comma), Space, Pattern.Text("}")]);

    /// <summary>Any number of members with any names.</summary>
    /// <param name="value">Rule of their values.</param>
    public Pattern MapOf(int value)
    {
        Pattern member = Member(new Pattern.Call(String), value);
        Pattern members = new Pattern.Sequence([member, new Pattern.Repeat(new Pattern.Sequence([Comma, member]), 0, null)]);
        return new Pattern.Sequence([Pattern.Text("{"), Space, Pattern.Optional(new Pattern.Sequence([members, Space])), Pattern.Text("}")]);
    }

    /// <summary>One member.</summary>
    public static Pattern Member(Pattern name, int value) =>
        new Pattern.Sequence([name, Pattern.Text(":"), Pattern.Optional(Pattern.Text(" ")), new Pattern.Call(value)]);

    /// <summary>Elements of an array.</summary>
    /// <param name="item">Rule of an element.</param>
    /// <param name="least">Least elements.</param>
    /// <param name="most">Most elements; null = any number.</param>
    public Pattern ArrayOf(int item, int least, int? most)
    {
        Pattern element = new Pattern.Call(item);
        Pattern more = new Pattern.Repeat(new Pattern.Sequence([Comma, element]), Math.Max(least - 1, 0), most - 1);
        Pattern elements = most == 0 ? Pattern.Empty : new Pattern.Sequence([element, more, Space]);
        return new Pattern.Sequence([Pattern.Text("["), Space, least == 0 ? Pattern.Optional(elements) : elements, Pattern.Text("]")]);
    }

    private Pattern Comma => new Pattern.Sequence([Pattern.Text(","), Space]);

    private void DefineAll()
    {
        if (_value is not null)
        {
            return;
        }

        string name = builder.Budget.Name;
        int value = builder.Reserve(name, isNested: false);
        _value = value;
        int map = builder.Reserve(name, isNested: true);
        int array = builder.Reserve(name, isNested: true);
        _rules.Add("object", map);
        builder.Define(map, MapOf(value));
        builder.Define(array, ArrayOf(value, 0, null));
        int number = Leaf("number", () => JsonText.Number);
        int literal = Leaf("literals", () => new Pattern.Choice([Pattern.Text("true"), Pattern.Text("false"), Pattern.Text("null")]));
        builder.Define(value, new Pattern.Choice([.. new[] { String, number, literal, map, array }.Select(rule => new Pattern.Call(rule))]));
    }
}
