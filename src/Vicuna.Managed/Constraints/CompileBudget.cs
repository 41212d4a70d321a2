namespace Vicuna.Managed.Constraints;

/// <summary>What the compilation of one constraint may cost. Patterns come from strangers: a short one can describe an automaton of any size.</summary>
/// <param name="name">What is compiled, for messages.</param>
internal sealed class CompileBudget(string name)
{
    private const int MaxStates = 150_000;
    private const int MaxDeterministicStates = 60_000;
    private const long MaxWork = 10_000_000;

    private int _states;
    private int _deterministicStates;
    private long _work;

    /// <summary>What is compiled, for messages.</summary>
    public string Name { get; set; } = name;

    /// <summary>Takes a state of a nondeterministic automaton.</summary>
    /// <exception cref="ArgumentException">There are too many.</exception>
    public void TakeState() => Check(++_states <= MaxStates);

    /// <summary>Takes a state of a deterministic automaton.</summary>
    /// <exception cref="ArgumentException">There are too many.</exception>
    public void TakeDeterministicState() => Check(++_deterministicStates <= MaxDeterministicStates);

    /// <summary>Takes steps, each of a few nanoseconds.</summary>
    /// <exception cref="ArgumentException">There are too many.</exception>
    public void TakeWork(long steps) => Check((_work += steps) <= MaxWork);

    private void Check(bool fits)
    {
        if (!fits)
        {
            throw new ArgumentException(
                $"{Name}: too complex: its automaton would have more than {MaxDeterministicStates} states, or take too long to make. "
                + "Smaller counts or fewer alternatives help.");
        }
    }
}
