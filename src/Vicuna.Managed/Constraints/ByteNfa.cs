namespace Vicuna.Managed.Constraints;

/// <summary>An expression as a nondeterministic automaton over bytes (Thompson 1968), in the making. State 0 is the start.</summary>
internal sealed class ByteNfa
{
    private const int EmptyMark = -1;
    private const int CallMark = -2;

    private readonly CompileBudget _budget;
    private readonly List<int> _firstEdge = [];
    private readonly List<Edge> _edges = [];

    /// <summary>Builds the automaton of an expression.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="budget">What it may cost.</param>
    /// <exception cref="ArgumentException">It costs more.</exception>
    public ByteNfa(Pattern pattern, CompileBudget budget)
    {
        _budget = budget;
        NewState();
        End = Build(pattern, 0);
    }

    /// <summary>The state in which the text may end.</summary>
    public int End { get; }

    /// <summary>Number of states.</summary>
    public int Count => _firstEdge.Count;

    /// <summary>The edges that leave a state.</summary>
    public EdgeList EdgesOf(int state) => new(_edges, _firstEdge[state]);

    private int NewState()
    {
        _budget.TakeState();
        _firstEdge.Add(-1);
        return _firstEdge.Count - 1;
    }

    private void Connect(int from, int low, int high, int to)
    {
        _edges.Add(new Edge(low, high, to, _firstEdge[from]));
        _firstEdge[from] = _edges.Count - 1;
    }

    private void ConnectEmpty(int from, int to) => Connect(from, EmptyMark, 0, to);

    // Adds an expression behind a state; returns the state behind it. Expressions are as deep as their makers let them be, a few hundred at most.
    private int Build(Pattern pattern, int from)
    {
        _budget.TakeWork(1);
        switch (pattern)
        {
            case Pattern.Characters characters:
                return BuildCharacters(characters.Set, from);
            case Pattern.Sequence sequence:
                return sequence.Parts.Aggregate(from, (at, part) => Build(part, at));
            case Pattern.Choice choice:
                int end = NewState();
                foreach (Pattern option in choice.Options)
                {
                    ConnectEmpty(Build(option, from), end);
                }

                return end;
            case Pattern.Repeat repeat:
                return BuildRepeat(repeat, from);
            case Pattern.Call call:
                int behind = NewState();
                Connect(from, CallMark, call.Rule, behind);
                return behind;
            case Pattern.Joined joined:
                return BuildJoined(joined, from);
            case Pattern.Both both:
                return Embed(ByteDfa.Both(ByteDfa.Of(both.First, _budget), ByteDfa.Of(both.Second, _budget), _budget), from);
            case Pattern.Accepted accepted:
                return Embed(accepted.Automaton, from);
            default:
                throw new ArgumentOutOfRangeException(nameof(pattern));
        }
    }

    private int BuildCharacters(CodePointSet set, int from)
    {
        int end = NewState();
        // What follows the first byte is alike for many: a state for each continuation, from the last byte to the first.
        Dictionary<(byte Low, byte High, int Next), int> states = [];
        foreach ((byte Low, byte High)[] bytes in Utf8Sequences.Of(set))
        {
            int next = end;
            for (int i = bytes.Length - 1; i > 0; i--)
            {
                (byte Low, byte High, int Next) continuation = (bytes[i].Low, bytes[i].High, next);
                if (!states.TryGetValue(continuation, out int state))
                {
                    state = NewState();
                    Connect(state, bytes[i].Low, bytes[i].High, next);
                    states.Add(continuation, state);
                }

                next = state;
            }

            Connect(from, bytes[0].Low, bytes[0].High, next);
        }

        return end;
    }

    private int BuildRepeat(Pattern.Repeat repeat, int from)
    {
        int at = from;
        for (int i = 0; i < repeat.Least; i++)
        {
            at = Build(repeat.Part, at);
        }

        int end = NewState();
        if (repeat.Most is not int most)
        {
            int loop = NewState();
            ConnectEmpty(at, loop);
            ConnectEmpty(Build(repeat.Part, loop), loop);
            ConnectEmpty(loop, end);
            return end;
        }

        for (int i = repeat.Least; i < most; i++)
        {
            // An own state: what comes behind an optional part must not lead back into what was before it.
            int start = NewState();
            ConnectEmpty(at, start);
            ConnectEmpty(start, end);
            at = Build(repeat.Part, start);
        }

        ConnectEmpty(at, end);
        return end;
    }

    // Two chains: nothing has been there so far, and something has.
    private int BuildJoined(Pattern.Joined joined, int from)
    {
        int none = NewState();
        int some = NewState();
        ConnectEmpty(from, none);
        foreach ((Pattern part, bool isOptional) in joined.Parts)
        {
            int start = NewState();
            ConnectEmpty(none, start);
            ConnectEmpty(Build(joined.Separator, some), start);
            int behind = NewState();
            ConnectEmpty(Build(part, start), behind);
            int nextNone = NewState();
            if (isOptional)
            {
                ConnectEmpty(none, nextNone);
                ConnectEmpty(some, behind);
            }

            (none, some) = (nextNone, behind);
        }

        int end = NewState();
        ConnectEmpty(none, end);
        ConnectEmpty(some, end);
        return end;
    }

    private int Embed(ByteDfa dfa, int from)
    {
        int first = Count;
        for (int state = 0; state < dfa.Count; state++)
        {
            NewState();
        }

        int end = NewState();
        ConnectEmpty(from, first);
        for (int state = 0; state < dfa.Count; state++)
        {
            for (int low = 0, high; low < 256; low = high)
            {
                int next = dfa.Step(state, (byte)low);
                for (high = low + 1; high < 256 && dfa.Step(state, (byte)high) == next; high++)
                {
                }

                if (next >= 0)
                {
                    Connect(first + state, low, high - 1, first + next);
                }
            }

            if (dfa.Accepts(state))
            {
                ConnectEmpty(first + state, end);
            }
        }

        return end;
    }

    /// <summary>An edge: a range of bytes, nothing, or a call of a rule.</summary>
    public readonly record struct Edge(int Low, int High, int Target, int Next)
    {
        /// <summary>Whether it takes no text.</summary>
        public bool IsEmpty => Low == EmptyMark;

        /// <summary>Whether it takes what rule number <see cref="High"/> describes.</summary>
        public bool IsCall => Low == CallMark;
    }

    /// <summary>The edges of a state, for foreach.</summary>
    public struct EdgeList(List<Edge> edges, int first)
    {
        private int _next = first;

        /// <summary>The edge that the walk is at.</summary>
        public Edge Current { get; private set; }

        /// <summary>The walk.</summary>
        public readonly EdgeList GetEnumerator() => this;

        /// <summary>Goes on.</summary>
        public bool MoveNext()
        {
            if (_next < 0)
            {
                return false;
            }

            Current = edges[_next];
            _next = Current.Next;
            return true;
        }
    }
}
