namespace Vicuna.Managed.Models;

/// <summary>
/// Buffers for passes, lent for the time of a pass: their number is that of the passes under way at a time, not that of the sequences. Safe
/// for concurrent use.
/// </summary>
/// <param name="create">Makes another state.</param>
internal sealed class DecoderStatePool(Func<DecoderState> create) : IDisposable
{
    // A burst of passes at a time must not hold memory for ever.
    private const int MaxIdle = 4;

    private readonly Lock _gate = new();
    private readonly Stack<DecoderState> _idle = new();
    private bool _disposed;

    /// <summary>Lends a state; <see cref="Return"/> must follow.</summary>
    /// <exception cref="ObjectDisposedException">The pool has been disposed.</exception>
    public DecoderState Rent()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_idle.TryPop(out DecoderState? state))
            {
                return state;
            }
        }

        return create();
    }

    /// <summary>Takes a state back.</summary>
    public void Return(DecoderState state)
    {
        lock (_gate)
        {
            if (!_disposed && _idle.Count < MaxIdle)
            {
                _idle.Push(state);
                return;
            }
        }

        state.Dispose();
    }

    /// <summary>Frees the states that are not lent; the others when they come back.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            while (_idle.TryPop(out DecoderState? state))
            {
                state.Dispose();
            }
        }
    }
}
