namespace Vicuna.Managed.Constraints;

/// <summary>A deterministic automaton over bytes, with calls of rules beside the bytes. State 0 is the start. Immutable.</summary>
internal sealed class ByteDfa
{
    private readonly byte[] _classOf;
    private readonly int _classes;
    private readonly int[] _next;
    private readonly bool[] _accepts;
    private readonly CallEdge[][] _calls;

    private ByteDfa(byte[] classOf, int classes, int[] next, bool[] accepts, CallEdge[][] calls) =>
        (_classOf, _classes, _next, _accepts, _calls) = (classOf, classes, next, accepts, calls);

    /// <summary>Number of states.</summary>
    public int Count => _accepts.Length;

    /// <summary>Kinds of bytes: those of one kind lead from every state to the same one.</summary>
    public int Classes => _classes;

    /// <summary>The kind of each byte <c>[256]</c>.</summary>
    public ReadOnlySpan<byte> ClassOf => _classOf;

    /// <summary>The next state for each state and kind <c>[Count, Classes]</c>, negative for none.</summary>
    public ReadOnlySpan<int> Table => _next;

    /// <summary>Whether the text may end in a state.</summary>
    public bool Accepts(int state) => _accepts[state];

    /// <summary>Calls that can be made in a state.</summary>
    public ReadOnlySpan<CallEdge> CallsOf(int state) => _calls[state];

    /// <summary>The state behind a byte, negative for none.</summary>
    public int Step(int state, byte value) => _next[(state * _classes) + _classOf[value]];

    /// <summary>Whether any byte leads on from a state.</summary>
    public bool TakesBytes(int state) => Table.Slice(state * _classes, _classes).ContainsAnyExcept(-1);

    /// <summary>Makes the automaton of an expression.</summary>
    /// <exception cref="ArgumentException">It costs more than the budget allows.</exception>
    public static ByteDfa Of(Pattern pattern, CompileBudget budget) => new SubsetConstruction(new ByteNfa(pattern, budget), budget).Run();

    /// <summary>Makes an automaton from its parts.</summary>
    /// <param name="classOf">Kind of each byte, 256 of them.</param>
    /// <param name="classes">Number of kinds.</param>
    /// <param name="next">Next states, one for each kind, for each state.</param>
    /// <param name="accepts">Whether the text may end, for each state.</param>
    /// <param name="calls">Calls for each state; null for none.</param>
    public static ByteDfa Create(byte[] classOf, int classes, int[] next, bool[] accepts, CallEdge[][]? calls = null) =>
        new(classOf, classes, next, accepts, calls ?? [.. accepts.Select(_ => Array.Empty<CallEdge>())]);

    /// <summary>What two automata without calls accept at once.</summary>
    /// <exception cref="ArgumentException">It costs more than the budget allows.</exception>
    public static ByteDfa Both(ByteDfa first, ByteDfa second, CompileBudget budget)
    {
        byte[] classOf = new byte[256];
        Dictionary<(int, int), byte> kinds = [];
        for (int value = 0; value < 256; value++)
        {
            (int, int) kind = (first._classOf[value], second._classOf[value]);
            if (!kinds.TryGetValue(kind, out byte number))
            {
                number = (byte)kinds.Count;
                kinds.Add(kind, number);
            }

            classOf[value] = number;
        }

        Dictionary<(int First, int Second), int> numbers = new() { [(0, 0)] = 0 };
        List<(int First, int Second)> states = [(0, 0)];
        List<int> next = [];
        (int First, int Second)[] byClass = [.. kinds.OrderBy(kind => kind.Value).Select(kind => kind.Key)];
        for (int at = 0; at < states.Count; at++)
        {
            budget.TakeDeterministicState();
            budget.TakeWork(byClass.Length);
            foreach ((int a, int b) in byClass)
            {
                int nextFirst = first._next[(states[at].First * first._classes) + a];
                int nextSecond = second._next[(states[at].Second * second._classes) + b];
                if (nextFirst < 0 || nextSecond < 0)
                {
                    next.Add(-1);
                    continue;
                }

                if (!numbers.TryGetValue((nextFirst, nextSecond), out int number))
                {
                    number = states.Count;
                    states.Add((nextFirst, nextSecond));
                    numbers.Add((nextFirst, nextSecond), number);
                }

                next.Add(number);
            }
        }

        return Create(classOf, byClass.Length, [.. next], [.. states.Select(state => first._accepts[state.First] && second._accepts[state.Second])]);
    }

    /// <summary>The same automaton without the steps and calls that lead nowhere.</summary>
    /// <param name="isAlive">Whether the text can be completed from a state.</param>
    /// <param name="isAliveRule">Whether a rule describes any text.</param>
    public ByteDfa Without(Func<int, bool> isAlive, Func<int, bool> isAliveRule) => new(
        _classOf,
        _classes,
        [.. _next.Select(state => state >= 0 && isAlive(state) ? state : -1)],
        _accepts,
        [.. _calls.Select(calls => calls.Where(call => isAliveRule(call.Rule) && isAlive(call.Return)).ToArray())]);
}
