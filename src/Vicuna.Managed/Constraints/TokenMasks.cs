namespace Vicuna.Managed.Constraints;

/// <summary>
/// The tokens of one vocabulary that a grammar allows next. What depends on a place in a rule alone is computed once for each; the rest is a short walk
/// through the tree of pieces. Not safe for concurrent use.
/// </summary>
/// <param name="grammar">The grammar.</param>
/// <param name="machine">Runs it.</param>
/// <param name="trie">The vocabulary.</param>
internal sealed class TokenMasks(Grammar grammar, PushdownMachine machine, TokenTrie trie)
{
    // 16 MB for a vocabulary of 32,000.
    private const int MaxRegions = 4096;
    private const int LeastStatesToShare = 64;

    private readonly Dictionary<(int Rule, int Kind, int Depth), MaskRegion> _regions = [];
    private readonly int[]?[] _kinds = new int[]?[grammar.Count];
    private readonly int[] _states = new int[trie.MaxBytes + 1];
    private readonly Configuration[] _path = new Configuration[trie.MaxBytes + 1];
    private readonly List<int> _exits = [];

    /// <summary>The vocabulary.</summary>
    public TokenTrie Trie => trie;

    /// <summary>Finds the tokens that may come next; end-of-sequence ids are not among them.</summary>
    /// <param name="at">Where the text is.</param>
    /// <param name="mask">Receives the tokens as bits, <c>[V / 64]</c> with V that of the tokenizer.</param>
    public void Fill(Configuration at, Span<ulong> mask)
    {
        mask.Clear();
        foreach (Frame frame in at.Frames)
        {
            MaskRegion region = RegionOf(frame);
            for (int i = 0; i < mask.Length; i++)
            {
                mask[i] |= region.Tokens[i];
            }

            if (region.Exits.Length > 0 && machine.Resume(frame.Below) is { } outside)
            {
                foreach (int node in region.Exits)
                {
                    Walk(outside, node + 1, trie.Ends[node], mask, exits: null);
                }
            }
        }
    }

    /// <summary>Computes now what takes long, so that nobody waits for it later.</summary>
    /// <param name="start">Where texts begin.</param>
    /// <param name="isWhole">Whether more than the beginning will be asked for.</param>
    public void Prepare(Configuration start, bool isWhole)
    {
        for (int rule = 0; isWhole && rule < grammar.Count; rule++)
        {
            KindOf(rule, 0);
        }

        Fill(start, new ulong[(trie.VocabularySize + 63) / 64]);
    }

    private MaskRegion RegionOf(Frame frame)
    {
        // Where nothing nested can come, the room for it does not matter.
        int depth = grammar.CallsNested(frame.Rule) ? frame.Below.Depth : 0;
        (int Rule, int Kind, int Depth) key = (frame.Rule, KindOf(frame.Rule, frame.State), depth);
        if (!_regions.TryGetValue(key, out MaskRegion? region))
        {
            if (_regions.Count >= MaxRegions)
            {
                _regions.Clear();
            }

            region = Compute(frame.Rule, frame.State, depth);
            _regions.Add(key, region);
        }

        return region;
    }

    private MaskRegion Compute(int rule, int start, int depth)
    {
        ByteDfa dfa = grammar.Rule(rule);
        FrameSet bottom = machine.Bottom(depth);
        ReadOnlySpan<int> need = grammar.NeedOf(rule);
        ReadOnlySpan<byte> bytes = trie.Bytes;
        ReadOnlySpan<int> depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.Ends;
        ulong[] tokens = new ulong[(trie.VocabularySize + 63) / 64];
        _exits.Clear();
        _states[0] = start;
        for (int node = 0; node < bytes.Length;)
        {
            int state = dfa.Step(_states[depths[node]], bytes[node]);
            if (state < 0 || depth + need[state] > Grammar.MaxNesting)
            {
                node = ends[node];
                continue;
            }

            Allow(node, tokens);
            if (dfa.CallsOf(state).Length > 0)
            {
                Configuration at = machine.At(rule, state, bottom);
                if (at.Accepts)
                {
                    _exits.Add(node);
                }

                Walk(at, node + 1, ends[node], tokens, _exits);
                node = ends[node];
                continue;
            }

            if (dfa.Accepts(state) && ends[node] > node + 1)
            {
                _exits.Add(node);
            }

            _states[depths[node] + 1] = state;
            node++;
        }

        return new MaskRegion(tokens, [.. _exits]);
    }

    // All pieces below a node, whose nodes are a range, from a place that the node's bytes lead to.
    private void Walk(Configuration from, int first, int end, Span<ulong> tokens, List<int>? exits)
    {
        if (first == end)
        {
            return;
        }

        ReadOnlySpan<byte> bytes = trie.Bytes;
        ReadOnlySpan<int> depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.Ends;
        _path[depths[first]] = from;
        for (int node = first; node < end;)
        {
            Configuration? next = machine.Step(_path[depths[node]], bytes[node]);
            if (next is null)
            {
                node = ends[node];
                continue;
            }

            Allow(node, tokens);
            if (exits is not null && next.Accepts && ends[node] > node + 1)
            {
                exits.Add(node);
            }

            _path[depths[node] + 1] = next;
            node++;
        }
    }

    private void Allow(int node, Span<ulong> tokens)
    {
        foreach (int token in trie.TokensOf(node))
        {
            tokens[token >> 6] |= 1UL << token;
        }
    }

    // States that no piece of the vocabulary tells apart have the same tokens: in a text of at most a thousand characters all are alike but the last few.
    private int KindOf(int rule, int state)
    {
        ByteDfa dfa = grammar.Rule(rule);
        if (dfa.Count < LeastStatesToShare || grammar.CallsNested(rule))
        {
            return state;
        }

        return (_kinds[rule] ??= Kinds(dfa))[state];
    }

    private int[] Kinds(ByteDfa dfa)
    {
        // Moore's refinement, as many rounds as a piece has bytes; what a call leads to is told apart by its rule and its return.
        int[] kinds = new int[dfa.Count];
        int count = 0;
        for (int round = 0; round <= trie.MaxBytes; round++)
        {
            Dictionary<Signature, int> numbers = new(dfa.Count);
            int[] refined = new int[dfa.Count];
            for (int state = 0; state < dfa.Count; state++)
            {
                Signature signature = new(dfa, kinds, state);
                if (!numbers.TryGetValue(signature, out int number))
                {
                    number = numbers.Count;
                    numbers.Add(signature, number);
                }

                refined[state] = number;
            }

            kinds = refined;
            if (numbers.Count == count)
            {
                break;
            }

            count = numbers.Count;
        }

        return kinds;
    }

    private readonly struct Signature(ByteDfa dfa, int[] kinds, int state) : IEquatable<Signature>
    {
        private readonly ByteDfa _dfa = dfa;
        private readonly int[] _kinds = kinds;
        private readonly int _state = state;

        public bool Equals(Signature other)
        {
            if (KindAt(_state) != KindAt(other._state) || _dfa.Accepts(_state) != _dfa.Accepts(other._state))
            {
                return false;
            }

            ReadOnlySpan<int> next = _dfa.Table.Slice(_state * _dfa.Classes, _dfa.Classes);
            ReadOnlySpan<int> otherNext = _dfa.Table.Slice(other._state * _dfa.Classes, _dfa.Classes);
            for (int i = 0; i < next.Length; i++)
            {
                if (KindAt(next[i]) != KindAt(otherNext[i]))
                {
                    return false;
                }
            }

            ReadOnlySpan<CallEdge> calls = _dfa.CallsOf(_state);
            ReadOnlySpan<CallEdge> otherCalls = _dfa.CallsOf(other._state);
            bool same = calls.Length == otherCalls.Length;
            for (int i = 0; same && i < calls.Length; i++)
            {
                same = calls[i].Rule == otherCalls[i].Rule && KindAt(calls[i].Return) == KindAt(otherCalls[i].Return);
            }

            return same;
        }

        public override bool Equals(object? obj) => obj is Signature other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(KindAt(_state));
            hash.Add(_dfa.Accepts(_state));
            foreach (int next in _dfa.Table.Slice(_state * _dfa.Classes, _dfa.Classes))
            {
                hash.Add(KindAt(next));
            }

            return hash.ToHashCode();
        }

        private int KindAt(int state) => state < 0 ? -1 : _kinds[state];
    }
}
