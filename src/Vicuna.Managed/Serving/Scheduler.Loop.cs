using System.Diagnostics;

namespace Vicuna.Managed.Serving;

/// <content>What the engine's thread does.</content>
internal sealed partial class Scheduler
{
    private void Run()
    {
        try
        {
            while (RunOnce())
            {
            }
        }
        catch (Exception exception)
        {
            // What nobody expected: no request may wait for ever because of it.
            lock (_gate)
            {
                _failure = exception;
            }
        }

        EndAll();
        _pages.Dispose();
        _ended.TrySetResult();
    }

    // What is to be done between two passes, and a pass. False = the end.
    private bool RunOnce()
    {
        Volatile.Write(ref _lastSign, Stopwatch.GetTimestamp());
        lock (_gate)
        {
            if (_disposed)
            {
                return false;
            }

            if (_pass.IsCancellationRequested)
            {
                // Not disposed: somebody may be about to cancel it.
                _pass = new CancellationTokenSource();
            }
        }

        DoWork();
        EndStopped();
        Admit();
        if (_running.Count == 0)
        {
            SignalIfDrained();
            _wake.WaitOne();
            return true;
        }

        if (RunPass())
        {
            Advance();
        }

        return true;
    }

    private void DoWork()
    {
        while (true)
        {
            Action? action;
            lock (_gate)
            {
                if (!_work.TryDequeue(out action))
                {
                    return;
                }
            }

            action();
        }
    }

    private void EndStopped()
    {
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            ServedRequest request = _running[i];
            StopCause cause;
            lock (_gate)
            {
                cause = request.Stop;
            }

            if (cause == StopCause.TimeLimit && request.Finish(isEarly: true))
            {
                End(request, null);
            }
            else if (cause != StopCause.None)
            {
                End(request, StopException(request, cause));
            }
        }
    }

    // The next in the queue as long as there are places and memory. Who does not fit yet is not overtaken: he would wait for ever.
    private void Admit()
    {
        while (_running.Count < _options.MaxConcurrentRequests)
        {
            ServedRequest? next;
            lock (_gate)
            {
                next = _queue.First;
            }

            if (next is null)
            {
                return;
            }

            using PrefixMatch? match = _pages.TryReserve(next);
            if (match is null)
            {
                return;
            }

            lock (_gate)
            {
                if (next.State != RequestState.Queued)
                {
                    _queue.Remove(next);
                    _pages.Return(next);
                    continue;
                }

                _queue.Remove(next);
                next.State = RequestState.Running;
                _active++;
            }

            _running.Add(next);
            try
            {
                next.Begin(match);
                _batch.Add(next.Sequence);
                AddCached(next, match.Positions);
            }
            catch (Exception exception)
            {
                End(next, exception);
            }
        }
    }

    private void ExtendPrompts()
    {
        foreach (ServedRequest request in _running)
        {
            int gained = request.IsPrefilling ? _pages.Extend(request) : 0;
            if (gained > 0)
            {
                AddCached(request, gained);
            }
        }
    }

    private void AddCached(ServedRequest request, int tokens)
    {
        request.AddCached(tokens);
        lock (_gate)
        {
            _counts.AddCached(tokens);
        }
    }

    private bool RunPass()
    {
        // Whoever cancels passes one after another must hold up neither the answers that are running nor the prompts: after a pass that was given up
        // comes one that is not, and short.
        int promptTokens = _wasInterrupted ? UninterruptedPromptTokens : _options.PrefillChunkTokens;
        CancellationToken stop = _wasInterrupted ? CancellationToken.None : _pass.Token;
        ExtendPrompts();
        lock (_gate)
        {
            _passHasPrompts = _running.Exists(request => request.IsPrefilling);
        }

        long start = Stopwatch.GetTimestamp();
        try
        {
            _batch.Step(promptTokens, stop);
            _wasInterrupted = false;
        }
        catch (OperationCanceledException) when (_pass.IsCancellationRequested)
        {
            _wasInterrupted = true;
            return false;
        }
        catch (OutOfMemoryException exception)
        {
            // The system has less than it promised. The last to come gives way; what is kept for later goes first.
            _pages.Clear();
            End(_running[^1], exception);
            return false;
        }

        lock (_gate)
        {
            _counts.AddPass(_batch.PromptTokens, _batch.SingleTokens, Stopwatch.GetElapsedTime(start));
        }

        return true;
    }

    private void Advance()
    {
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            ServedRequest request = _running[i];
            try
            {
                if (request.IsPrefilling)
                {
                    // From now on others can begin with it.
                    _pages.SharePrompt(request);
                }

                if (!request.Sequence.IsReady)
                {
                    continue;
                }

                int before = request.NewTokens;
                bool goesOn = request.Advance();
                lock (_gate)
                {
                    _counts.AddGenerated(request.NewTokens - before);
                }

                if (!goesOn)
                {
                    request.Finish(isEarly: false);
                    End(request, null);
                }
            }
            catch (Exception exception)
            {
                End(request, exception);
            }
        }
    }

    // Lets go of everything first and tells afterwards: who hears of the end finds its place free.
    private void End(ServedRequest request, Exception? exception)
    {
        if (!_running.Remove(request))
        {
            return;
        }

        if (request.HasBegun)
        {
            _batch.Remove(request.Sequence);
            if (exception is null or OperationCanceledException)
            {
                _pages.Share(request);
            }

            request.Free();
        }

        _pages.Return(request);
        lock (_gate)
        {
            request.State = RequestState.Ended;
            _active--;
        }

        if (exception is null)
        {
            request.Announce();
            request.Release();
        }
        else
        {
            Fail(request, exception);
        }
    }

    private void Fail(ServedRequest request, Exception exception)
    {
        lock (_gate)
        {
            _counts.AddFailed(exception);
        }

        request.Fail(exception);
        request.Release();
    }

    private void EndAll()
    {
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            End(_running[i], LastWords());
        }

        while (true)
        {
            ServedRequest? next;
            lock (_gate)
            {
                next = _queue.First;
                if (next is null)
                {
                    break;
                }

                _queue.Remove(next);
                next.State = RequestState.Ended;
            }

            Fail(next, LastWords());
        }

        DoWork();
        SignalIfDrained();
    }

    private Exception LastWords() => _failure is null
        ? new ObjectDisposedException(_owner.GetType().FullName)
        : new InvalidOperationException($"The engine has failed: {_failure.Message}", _failure);
}
