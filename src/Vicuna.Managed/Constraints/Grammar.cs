using System.Runtime.CompilerServices;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Constraints;

/// <summary>
/// Rules that may call one another, each an automaton over bytes: the texts that a constraint allows. From every state that is left in it the text
/// can be completed within <see cref="MaxNesting"/>. Immutable and safe for concurrent use.
/// </summary>
internal sealed class Grammar
{
    /// <summary>Most rules inside one another that count as nesting: JSON's objects and arrays. Readers of JSON take 64 by default.</summary>
    public const int MaxNesting = 32;

    /// <summary>Nesting that no text has.</summary>
    private const int Never = MaxNesting + 1;

    private readonly ByteDfa[] _rules;
    private readonly bool[] _isNested;
    private readonly int[][] _need;
    private readonly bool[] _callsNested;
    private readonly ConditionalWeakTable<SentencePieceTokenizer, CompiledConstraint> _compiled = [];

    private Grammar(ByteDfa[] rules, bool[] isNested, int[][] need, int start)
    {
        (_rules, _isNested, _need, Start) = (rules, isNested, need, start);
        _callsNested = new bool[rules.Length];
        MarkNesting();
    }

    /// <summary>The rule that describes whole texts.</summary>
    public int Start { get; }

    /// <summary>Number of rules.</summary>
    public int Count => _rules.Length;

    /// <summary>A rule's automaton.</summary>
    public ByteDfa Rule(int rule) => _rules[rule];

    /// <summary>Whether a rule counts as nesting.</summary>
    public bool IsNested(int rule) => _isNested[rule];

    /// <summary>Whether a rule's text can hold nested ones, so that the room for them matters.</summary>
    public bool CallsNested(int rule) => _callsNested[rule];

    /// <summary>The least nesting that completing a rule's text takes, for each state.</summary>
    public ReadOnlySpan<int> NeedOf(int rule) => _need[rule];

    /// <summary>The grammar for a vocabulary: made at the first call, which takes some tens of milliseconds, and found at later ones.</summary>
    public CompiledConstraint For(SentencePieceTokenizer tokenizer) => _compiled.GetValue(tokenizer, key => new CompiledConstraint(this, key));

    /// <summary>Puts rules together.</summary>
    /// <param name="rules">The automata.</param>
    /// <param name="isNested">Whether a rule counts as nesting.</param>
    /// <param name="names">What rules are called in messages.</param>
    /// <param name="start">The rule of whole texts.</param>
    /// <exception cref="ArgumentException">A rule begins with itself, or there is no text of finite length.</exception>
    public static Grammar Create(ByteDfa[] rules, bool[] isNested, string[] names, int start)
    {
        CheckBeginnings(rules, names);
        int[][] need = Needs(rules, isNested);
        if (need[start][0] + (isNested[start] ? 1 : 0) > MaxNesting)
        {
            throw new ArgumentException($"{names[start]}: no text of at most {MaxNesting} objects and arrays inside one another has this form.");
        }

        ByteDfa[] trimmed = [.. rules.Select((dfa, rule) => dfa.Without(state => need[rule][state] < Never, other => need[other][0] < Never))];
        return new Grammar(trimmed, isNested, need, start);
    }

    // A rule that begins with itself, through others too, would be entered for ever without a byte of text.
    private static void CheckBeginnings(ByteDfa[] rules, string[] names)
    {
        // 0 = not seen, 1 = on the path, 2 = done.
        byte[] marks = new byte[rules.Length];
        Stack<(int Rule, int Call)> path = new();
        for (int rule = 0; rule < rules.Length; rule++)
        {
            if (marks[rule] == 0)
            {
                marks[rule] = 1;
                path.Push((rule, 0));
            }

            while (path.TryPop(out (int Rule, int Call) at))
            {
                ReadOnlySpan<CallEdge> calls = rules[at.Rule].CallsOf(0);
                if (at.Call == calls.Length)
                {
                    marks[at.Rule] = 2;
                    continue;
                }

                path.Push((at.Rule, at.Call + 1));
                int next = calls[at.Call].Rule;
                if (marks[next] == 1)
                {
                    throw new ArgumentException($"{names[next]}: refers to itself without anything in between.");
                }

                if (marks[next] == 0)
                {
                    marks[next] = 1;
                    path.Push((next, 0));
                }
            }
        }
    }

    // Least fixed point: what a state needs is what its cheapest way to the end needs.
    private static int[][] Needs(ByteDfa[] rules, bool[] isNested)
    {
        int[][] need = [.. rules.Select(dfa => Enumerable.Repeat(Never, dfa.Count).ToArray())];
        Dictionary<(int, int), List<(int, int)>> before = [];
        Queue<(int Rule, int State)> open = new();
        for (int rule = 0; rule < rules.Length; rule++)
        {
            for (int state = 0; state < rules[rule].Count; state++)
            {
                open.Enqueue((rule, state));
                int last = -1;
                foreach (int next in rules[rule].Table.Slice(state * rules[rule].Classes, rules[rule].Classes))
                {
                    // Neighboring kinds often lead to the same state.
                    if (next >= 0 && next != last)
                    {
                        Add((rule, next), (rule, state));
                    }

                    last = next;
                }

                foreach (CallEdge call in rules[rule].CallsOf(state))
                {
                    Add((call.Rule, 0), (rule, state));
                    Add((rule, call.Return), (rule, state));
                }
            }
        }

        while (open.TryDequeue(out (int Rule, int State) at))
        {
            int least = Need(at.Rule, at.State);
            if (least < need[at.Rule][at.State])
            {
                need[at.Rule][at.State] = least;
                foreach ((int, int) other in before.GetValueOrDefault(at) ?? [])
                {
                    open.Enqueue(other);
                }
            }
        }

        return need;

        void Add((int, int) state, (int, int) earlier)
        {
            if (!before.TryGetValue(state, out List<(int, int)>? list))
            {
                before.Add(state, list = []);
            }

            list.Add(earlier);
        }

        int Need(int rule, int state)
        {
            ByteDfa dfa = rules[rule];
            int least = dfa.Accepts(state) ? 0 : Never;
            foreach (int next in dfa.Table.Slice(state * dfa.Classes, dfa.Classes))
            {
                least = next < 0 ? least : Math.Min(least, need[rule][next]);
            }

            foreach (CallEdge call in dfa.CallsOf(state))
            {
                int inside = need[call.Rule][0] + (isNested[call.Rule] ? 1 : 0);
                least = Math.Min(least, Math.Min(Never, Math.Max(inside, need[rule][call.Return])));
            }

            return least;
        }
    }

    private void MarkNesting()
    {
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int rule = 0; rule < _rules.Length; rule++)
            {
                for (int state = 0; state < _rules[rule].Count && !_callsNested[rule]; state++)
                {
                    foreach (CallEdge call in _rules[rule].CallsOf(state))
                    {
                        _callsNested[rule] |= _isNested[call.Rule] || _callsNested[call.Rule];
                    }

                    changed |= _callsNested[rule];
                }
            }
        }
    }
}
