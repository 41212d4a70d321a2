namespace Vicuna.Managed.Generation;

/// <summary>
/// Lets one call at a time into an object that is not safe for concurrent use, and frees the object once: when it has been closed and no call is under
/// way any more. Costs two interlocked operations per call and allocates nothing.
/// </summary>
/// <param name="owner">The object, named in exceptions.</param>
/// <param name="free">Frees what the object owns.</param>
internal sealed class UseGuard(object owner, Action free)
{
    private const int Idle = 0;
    private const int Busy = 1;
    private const int Freed = 2;

    private int _use = Idle;
    private volatile bool _closed;

    /// <summary>Begins a call; <see cref="Exit"/> must follow unless this throws.</summary>
    /// <exception cref="InvalidOperationException">Another call is under way.</exception>
    /// <exception cref="ObjectDisposedException">The object has been closed.</exception>
    public void Enter()
    {
        int before = Interlocked.CompareExchange(ref _use, Busy, Idle);
        if (before == Idle)
        {
            if (!_closed)
            {
                return;
            }

            // Close is between its two steps, and if it finds the object busy with this call, freeing is up to this call.
            Exit();
        }

        ObjectDisposedException.ThrowIf(before != Busy || _closed, owner);
        throw new InvalidOperationException($"The {owner.GetType().Name} is in use by another call; it is for one thread at a time.");
    }

    /// <summary>Ends a call, and frees the object if it has been closed meanwhile.</summary>
    public void Exit()
    {
        Volatile.Write(ref _use, Idle);
        Interlocked.MemoryBarrier();
        if (_closed)
        {
            FreeIfIdle();
        }
    }

    /// <summary>Refuses further calls, and frees the object now or at the end of the call under way.</summary>
    public void Close()
    {
        _closed = true;
        FreeIfIdle();
    }

    private void FreeIfIdle()
    {
        if (Interlocked.CompareExchange(ref _use, Freed, Idle) == Idle)
        {
            free();
        }
    }
}
