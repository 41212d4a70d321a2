namespace Vicuna.Managed.Constraints;

/// <summary>How far one answer has come in its constraint, and what may come next. Not safe for concurrent use; its buffers are kept.</summary>
/// <param name="constraint">The constraint, for the model's vocabulary.</param>
/// <param name="vocabSize">V, number of token ids that the model has.</param>
internal sealed class ConstraintCursor(CompiledConstraint constraint, int vocabSize)
{
    private readonly ulong[] _mask = new ulong[(vocabSize + 63) / 64];
    private readonly ulong[] _pieces = new ulong[constraint.MaskLength];
    private IReadOnlyList<int> _endIds = [];
    private bool _stripsLeadingSpace;
    private Configuration _at = constraint.Start;
    private bool _isAtStart;
    private bool _hasEnded;

    /// <summary>Whether nothing can follow but the end.</summary>
    public bool IsComplete => _hasEnded || (_at.Accepts && _at.Frames.Length == 0);

    /// <summary>Sets what an answer is.</summary>
    /// <param name="endIds">Ids that end it.</param>
    /// <param name="stripsLeadingSpace">Whether its first space belongs to the template.</param>
    public void Configure(IReadOnlyList<int> endIds, bool stripsLeadingSpace) =>
        (_endIds, _stripsLeadingSpace) = ([.. endIds.Where(id => id < vocabSize)], stripsLeadingSpace);

    /// <summary>Begins a new answer.</summary>
    public void Reset() => (_at, _isAtStart, _hasEnded) = (constraint.Start, _stripsLeadingSpace, false);

    /// <summary>Finds the tokens that may come next.</summary>
    /// <returns>Bits <c>[V / 64]</c>; valid until the next call.</returns>
    /// <exception cref="InvalidOperationException">Nothing may: the text has ended and there is no id for that, or the vocabulary cannot go on.</exception>
    public ReadOnlySpan<ulong> Next()
    {
        if (_hasEnded)
        {
            throw new InvalidOperationException("The constraint's text has ended: append tokens or rewind to begin another.");
        }

        Array.Clear(_mask);
        if (!IsComplete)
        {
            constraint.Fill(_at, _isAtStart, _pieces);
            _pieces.AsSpan(0, Math.Min(_pieces.Length, _mask.Length)).CopyTo(_mask);
        }

        for (int i = 0; i < _endIds.Count; i++)
        {
            ulong bit = 1UL << _endIds[i];
            ref ulong word = ref _mask[_endIds[i] >> 6];
            word = _at.Accepts ? word | bit : word & ~bit;
        }

        if (!_mask.AsSpan().ContainsAnyExcept(0UL))
        {
            throw new InvalidOperationException(IsComplete
                ? "The constraint's text is complete and the model has no end-of-sequence id: append tokens or rewind to begin another."
                : "The constraint cannot be followed with this vocabulary: it has no piece for what must come next"
                    + (constraint.HasAllBytes ? "." : ", and not all bytes are pieces."));
        }

        return _mask;
    }

    /// <summary>Takes a token.</summary>
    /// <returns>Whether it is allowed; if not, nothing has changed.</returns>
    public bool TryAccept(int token)
    {
        if (_hasEnded)
        {
            return false;
        }

        for (int i = 0; i < _endIds.Count; i++)
        {
            if (_endIds[i] == token)
            {
                _hasEnded = _at.Accepts;
                return _hasEnded;
            }
        }

        if (constraint.Accept(_at, token, _isAtStart) is not { } next)
        {
            return false;
        }

        (_at, _isAtStart) = (next, false);
        return true;
    }

    /// <summary>Goes where another of the same constraint is.</summary>
    public void CopyFrom(ConstraintCursor other) =>
        (_endIds, _stripsLeadingSpace, _at, _isAtStart, _hasEnded) = (other._endIds, other._stripsLeadingSpace, other._at, other._isAtStart, other._hasEnded);
}
