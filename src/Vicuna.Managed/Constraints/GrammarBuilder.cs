namespace Vicuna.Managed.Constraints;

/// <summary>Collects the rules of a grammar.</summary>
/// <param name="name">What is compiled, for messages.</param>
internal sealed class GrammarBuilder(string name)
{
    private readonly List<ByteDfa?> _rules = [];
    private readonly List<bool> _isNested = [];
    private readonly List<string> _names = [];

    /// <summary>What the compilation may cost.</summary>
    public CompileBudget Budget { get; } = new(name);

    /// <summary>The grammar of an expression without calls.</summary>
    /// <exception cref="ArgumentException">It costs too much, or describes no text.</exception>
    public static Grammar Of(Pattern pattern, string name)
    {
        GrammarBuilder builder = new(name);
        return builder.Build(builder.Add(name, pattern));
    }

    /// <summary>Takes a number for a rule that is defined later.</summary>
    /// <param name="ruleName">What it is called in messages.</param>
    /// <param name="isNested">Whether it counts as nesting.</param>
    public int Reserve(string ruleName, bool isNested)
    {
        _rules.Add(null);
        _isNested.Add(isNested);
        _names.Add(ruleName);
        return _rules.Count - 1;
    }

    /// <summary>Defines a rule.</summary>
    /// <exception cref="ArgumentException">It costs too much.</exception>
    public void Define(int rule, Pattern pattern)
    {
        Budget.Name = _names[rule];
        _rules[rule] = ByteDfa.Of(pattern, Budget);
    }

    /// <summary>Adds a rule.</summary>
    /// <exception cref="ArgumentException">It costs too much.</exception>
    public int Add(string ruleName, Pattern pattern)
    {
        int rule = Reserve(ruleName, isNested: false);
        Define(rule, pattern);
        return rule;
    }

    /// <summary>Puts the rules together.</summary>
    /// <param name="start">The rule of whole texts.</param>
    /// <exception cref="ArgumentException">A rule begins with itself, or there is no text of finite length.</exception>
    public Grammar Build(int start)
    {
        ByteDfa[] rules = [.. _rules.Select(dfa => dfa ?? throw new InvalidOperationException("A rule was not defined."))];
        for (int rule = 0; rule < rules.Length; rule++)
        {
            foreach (int called in Enumerable.Range(0, rules[rule].Count).SelectMany(state => rules[rule].CallsOf(state).ToArray()).Select(call => call.Rule).Distinct())
            {
                // The machine that runs a grammar enters a rule to take text.
                _ = rules[called].Accepts(0) ? throw new InvalidOperationException($"{_names[called]}: a rule that is called may not be empty.") : true;
            }
        }

        return Grammar.Create(rules, [.. _isNested], [.. _names], start);
    }
}
