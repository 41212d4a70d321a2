using System.Runtime.InteropServices;

namespace Vicuna.Managed.Constraints;

/// <summary>
/// Runs a grammar: from one <see cref="Configuration"/> to the next by a byte. Configurations and stacks are made once and found again, and so are the
/// steps between them; what is remembered is limited. Not safe for concurrent use.
/// </summary>
internal sealed class PushdownMachine
{
    private const int MaxSteps = 1 << 16;
    private const int MaxPlaces = 512;

    private readonly Grammar _grammar;
    private readonly Dictionary<(int Configuration, byte Value), Configuration> _steps = [];
    private readonly Dictionary<FrameKey, FrameSet> _sets = [];
    private readonly Dictionary<FrameKey, Configuration> _configurations = [];
    private readonly List<Frame> _places = [];
    private readonly Dictionary<(int Rule, int State), int> _placeOf = [];
    private readonly Dictionary<(int First, int Second), FrameSet> _merged = [];
    private readonly Stack<Frame> _open = new();
    private int _lastId;
    private bool _accepts;

    /// <summary>Makes a machine at the beginning of the text.</summary>
    /// <param name="grammar">The grammar.</param>
    public PushdownMachine(Grammar grammar)
    {
        _grammar = grammar;
        Start = At(grammar.Start, 0, Bottom(grammar.IsNested(grammar.Start) ? 1 : 0));
    }

    /// <summary>Where every text begins.</summary>
    public Configuration Start { get; }

    /// <summary>The stack of an outermost rule.</summary>
    /// <param name="depth">Nested rules around it.</param>
    public FrameSet Bottom(int depth) => Intern([], isBottom: true, depth);

    /// <summary>The configuration of one place.</summary>
    public Configuration At(int rule, int state, FrameSet below)
    {
        Begin();
        _open.Push(new Frame(rule, state, below));
        return Close() ?? throw new InvalidOperationException("The place is a dead end.");
    }

    /// <summary>Takes a byte.</summary>
    /// <returns>Where the text is then; null if no text goes on so.</returns>
    public Configuration? Step(Configuration from, byte value)
    {
        bool leadsOn = false;
        foreach (Frame frame in from.Frames)
        {
            leadsOn |= _grammar.Rule(frame.Rule).Step(frame.State, value) >= 0;
        }

        if (!leadsOn)
        {
            return null;
        }

        if (_steps.TryGetValue((from.Id, value), out Configuration? known))
        {
            return known;
        }

        Begin();
        foreach (Frame frame in from.Frames)
        {
            int next = _grammar.Rule(frame.Rule).Step(frame.State, value);
            if (next >= 0)
            {
                _open.Push(frame with { State = next });
            }
        }

        Configuration? to = Close();
        if (to is not null)
        {
            Forget();
            _steps.Add((from.Id, value), to);
        }

        return to;
    }

    /// <summary>Where the text is when the rule above a stack has ended; null if that is the end of the text.</summary>
    public Configuration? Resume(FrameSet below)
    {
        if (below.Frames.Length == 0)
        {
            return null;
        }

        if (below.Resumed is null)
        {
            Begin();
            PushAll(below);
            below.Resumed = Close();
        }

        return below.Resumed;
    }

    private void Begin()
    {
        _places.Clear();
        _placeOf.Clear();
        _merged.Clear();
        _open.Clear();
        _accepts = false;
    }

    private void PushAll(FrameSet set)
    {
        foreach (Frame frame in set.Frames)
        {
            _open.Push(frame);
        }
    }

    // All places that the open ones reach without text: calls are entered, ended rules left.
    private Configuration? Close()
    {
        while (_open.TryPop(out Frame place))
        {
            if (!Fits(place) || !AddPlace(ref place))
            {
                continue;
            }

            ByteDfa dfa = _grammar.Rule(place.Rule);
            if (dfa.Accepts(place.State))
            {
                _accepts |= place.Below.IsBottom;
                PushAll(place.Below);
            }

            foreach (CallEdge call in dfa.CallsOf(place.State))
            {
                int depth = place.Below.Depth + (_grammar.IsNested(call.Rule) ? 1 : 0);
                Frame caller = place with { State = call.Return };
                if (Fits(caller) && depth + _grammar.NeedOf(call.Rule)[0] <= Grammar.MaxNesting)
                {
                    _open.Push(new Frame(call.Rule, 0, Intern([caller], isBottom: false, depth)));
                }
            }
        }

        _places.RemoveAll(place => !_grammar.Rule(place.Rule).TakesBytes(place.State));
        if (_places.Count == 0 && !_accepts)
        {
            return null;
        }

        _places.Sort(ByPlace);
        Frame[] frames = [.. _places];
        FrameKey key = new(frames, _accepts, 0);
        ref Configuration? found = ref CollectionsMarshal.GetValueRefOrAddDefault(_configurations, key, out bool exists);
        return exists ? found! : found = new Configuration(++_lastId, frames, _accepts);
    }

    private bool Fits(Frame place) => place.Below.Depth + _grammar.NeedOf(place.Rule)[place.State] <= Grammar.MaxNesting;

    // False = nothing new. A place that is known gets the other's stacks as well, and is then to be followed again.
    private bool AddPlace(ref Frame place)
    {
        ref int index = ref CollectionsMarshal.GetValueRefOrAddDefault(_placeOf, (place.Rule, place.State), out bool exists);
        if (!exists)
        {
            if (_places.Count == MaxPlaces)
            {
                throw new InvalidOperationException($"The constraint is ambiguous in more than {MaxPlaces} ways at one place of the text.");
            }

            index = _places.Count;
            _places.Add(place);
            return true;
        }

        FrameSet merged = Merge(_places[index].Below, place.Below);
        if (merged == _places[index].Below)
        {
            return false;
        }

        place = place with { Below = merged };
        _places[index] = place;
        return true;
    }

    // As deep as the deeper stack. What two stacks share is merged once.
    private FrameSet Merge(FrameSet first, FrameSet second)
    {
        if (first == second)
        {
            return first;
        }

        if (_merged.TryGetValue((first.Id, second.Id), out FrameSet? known))
        {
            return known;
        }

        List<Frame> frames = [.. first.Frames];
        foreach (Frame frame in second.Frames)
        {
            int same = frames.FindIndex(other => other.Rule == frame.Rule && other.State == frame.State);
            if (same < 0)
            {
                frames.Add(frame);
            }
            else
            {
                frames[same] = frame with { Below = Merge(frames[same].Below, frame.Below) };
            }
        }

        frames.Sort(ByPlace);
        FrameSet merged = Intern([.. frames], first.IsBottom || second.IsBottom, Math.Max(first.Depth, second.Depth));
        _merged.Add((first.Id, second.Id), merged);
        return merged;
    }

    private FrameSet Intern(Frame[] frames, bool isBottom, int depth)
    {
        ref FrameSet? found = ref CollectionsMarshal.GetValueRefOrAddDefault(_sets, new FrameKey(frames, isBottom, depth), out bool exists);
        return exists ? found! : found = new FrameSet(++_lastId, frames, isBottom, depth);
    }

    // Who holds a configuration goes on with it: it is only no longer found by others.
    private void Forget()
    {
        if (_steps.Count >= MaxSteps || _sets.Count >= MaxSteps || _configurations.Count >= MaxSteps)
        {
            _steps.Clear();
            _sets.Clear();
            _configurations.Clear();
        }
    }

    private static int ByPlace(Frame first, Frame second) => (first.Rule, first.State).CompareTo((second.Rule, second.State));

    private readonly struct FrameKey(Frame[] frames, bool flag, int depth) : IEquatable<FrameKey>
    {
        private readonly Frame[] _frames = frames;
        private readonly bool _flag = flag;
        private readonly int _depth = depth;

        public bool Equals(FrameKey other)
        {
            if (_flag != other._flag || _depth != other._depth || _frames.Length != other._frames.Length)
            {
                return false;
            }

            for (int i = 0; i < _frames.Length; i++)
            {
                Frame first = _frames[i];
                Frame second = other._frames[i];
                if (first.Rule != second.Rule || first.State != second.State || first.Below != second.Below)
                {
                    return false;
                }
            }

            return true;
        }

        public override bool Equals(object? obj) => obj is FrameKey other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(_flag);
            hash.Add(_depth);
            foreach (Frame frame in _frames)
            {
                hash.Add(frame.Rule);
                hash.Add(frame.State);
                hash.Add(frame.Below.Id);
            }

            return hash.ToHashCode();
        }
    }
}
