namespace Vicuna.Managed.Constraints;

/// <summary>Makes a nondeterministic automaton deterministic (Rabin and Scott 1959).</summary>
/// <param name="nfa">The automaton.</param>
/// <param name="budget">What it may cost.</param>
internal sealed class SubsetConstruction(ByteNfa nfa, CompileBudget budget)
{
    private const int SortingCost = 8;

    private readonly Dictionary<int[], int> _numbers = new(new SameElements());
    private readonly Dictionary<int, int> _numberOfOne = [];
    private readonly List<int[]> _sets = [];
    private readonly int[] _stamps = new int[nfa.Count];
    private readonly Stack<int> _open = new();
    private readonly List<int> _reached = [];
    private int _stamp;

    /// <summary>Makes it.</summary>
    /// <exception cref="ArgumentException">It costs more than the budget allows.</exception>
    public ByteDfa Run()
    {
        byte[] classOf = Classes(out int classes);
        List<int> next = [];
        List<bool> accepts = [];
        List<CallEdge[]> calls = [];
        List<int>[] byClass = [.. Enumerable.Range(0, classes).Select(_ => new List<int>())];
        SortedDictionary<int, List<int>> byRule = [];
        NumberOf([0]);
        for (int at = 0; at < _sets.Count; at++)
        {
            budget.TakeWork(classes);
            Array.ForEach(byClass, targets => targets.Clear());
            byRule.Clear();
            foreach (int state in _sets[at])
            {
                Distribute(state, classOf, byClass, byRule);
            }

            List<int>? before = null;
            foreach (List<int> targets in byClass)
            {
                // Neighboring kinds often lead to the same states.
                bool isSame = before is not null && before.Count == targets.Count && before.SequenceEqual(targets);
                next.Add(isSame ? next[^1] : targets.Count == 0 ? -1 : NumberOf(targets));
                before = targets;
            }

            calls.Add([.. byRule.Select(pair => new CallEdge(pair.Key, NumberOf(pair.Value)))]);
            accepts.Add(Array.BinarySearch(_sets[at], nfa.End) >= 0);
        }

        return ByteDfa.Create(classOf, classes, [.. next], [.. accepts], [.. calls]);
    }

    // Bytes between two neighboring borders of ranges are of one kind.
    private byte[] Classes(out int classes)
    {
        bool[] isBorder = new bool[257];
        for (int state = 0; state < nfa.Count; state++)
        {
            foreach (ByteNfa.Edge edge in nfa.EdgesOf(state))
            {
                if (edge is { IsEmpty: false, IsCall: false })
                {
                    isBorder[edge.Low] = true;
                    isBorder[edge.High + 1] = true;
                }
            }
        }

        byte[] classOf = new byte[256];
        int kind = 0;
        for (int value = 0; value < 256; value++)
        {
            kind += value > 0 && isBorder[value] ? 1 : 0;
            classOf[value] = (byte)kind;
        }

        classes = kind + 1;
        return classOf;
    }

    private void Distribute(int state, byte[] classOf, List<int>[] byClass, SortedDictionary<int, List<int>> byRule)
    {
        foreach (ByteNfa.Edge edge in nfa.EdgesOf(state))
        {
            if (edge.IsCall)
            {
                if (!byRule.TryGetValue(edge.High, out List<int>? targets))
                {
                    byRule.Add(edge.High, targets = []);
                }

                targets.Add(edge.Target);
            }
            else if (!edge.IsEmpty)
            {
                budget.TakeWork(1 + classOf[edge.High] - classOf[edge.Low]);
                for (int kind = classOf[edge.Low]; kind <= classOf[edge.High]; kind++)
                {
                    byClass[kind].Add(edge.Target);
                }
            }
        }
    }

    // The number of the set of all states that these reach without text. Of states that only pass on nothing is kept.
    private int NumberOf(List<int> states)
    {
        if (states.Count == 1 && _numberOfOne.TryGetValue(states[0], out int known))
        {
            return known;
        }

        _stamp++;
        _reached.Clear();
        states.ForEach(Reach);
        while (_open.TryPop(out int state))
        {
            bool isKept = state == nfa.End;
            foreach (ByteNfa.Edge edge in nfa.EdgesOf(state))
            {
                budget.TakeWork(1);
                isKept |= !edge.IsEmpty;
                if (edge.IsEmpty)
                {
                    Reach(edge.Target);
                }
            }

            if (isKept)
            {
                _reached.Add(state);
            }
        }

        // To sort a set and to find it again takes several times as long as to reach its states.
        budget.TakeWork(SortingCost * (long)_reached.Count);
        _reached.Sort();
        int[] set = [.. _reached];
        if (!_numbers.TryGetValue(set, out int number))
        {
            budget.TakeDeterministicState();
            number = _sets.Count;
            _sets.Add(set);
            _numbers.Add(set, number);
        }

        if (states.Count == 1)
        {
            _numberOfOne.Add(states[0], number);
        }

        return number;
    }

    private void Reach(int state)
    {
        if (_stamps[state] != _stamp)
        {
            _stamps[state] = _stamp;
            _open.Push(state);
        }
    }

    private sealed class SameElements : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] obj)
        {
            HashCode hash = default;
            foreach (int element in obj)
            {
                hash.Add(element);
            }

            return hash.ToHashCode();
        }
    }
}
