using System.Diagnostics;
using System.Globalization;
using Vicuna.Managed.Generation;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>
/// The engine's loop: one thread that admits requests, runs passes for all that are running, hands out what they bring, and ends what has ended.
/// Sequences, keys and values and the prefix cache belong to this thread alone; other threads reach it through a queue of requests, their marks to
/// stop, and work that it does between passes.
/// </summary>
internal sealed partial class Scheduler : IDisposable
{
    // A fifth of a second of a model of 1B parameters on two threads, in 16 bits.
    private const int UninterruptedPromptTokens = 16;

    private readonly Lock _gate = new();
    private readonly RequestQueue _queue = new();
    private readonly Queue<Action> _work = [];
    private readonly AutoResetEvent _wake = new(initialState: false);
    private readonly List<ServedRequest> _running = [];
    private readonly SequenceBatch _batch;
    private readonly PageLedger _pages;
    private readonly object _owner;
    private readonly EngineOptions _options;
    private readonly SchedulerCounts _counts = new();
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource? _drained;
    private CancellationTokenSource _pass = new();
    private Exception? _failure;
    private bool _draining;
    private bool _disposed;
    private bool _wasInterrupted;
    private bool _passHasPrompts;
    private int _active;
    private long _lastSign;

    /// <summary>Starts the thread.</summary>
    /// <param name="owner">Who is named when a call is refused.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="options">Checked limits.</param>
    /// <param name="capacity">Pages of keys and values there may be.</param>
    public Scheduler(object owner, Decoder decoder, EngineOptions options, int capacity)
    {
        _owner = owner;
        _options = options;
        _batch = new SequenceBatch(decoder);
        _pages = new PageLedger(capacity, options.PrefixCache);
        _thread = new Thread(Run) { IsBackground = true, Name = "Vicuna engine" };
        _thread.Start();
    }

    /// <summary>What the engine has done and is doing.</summary>
    public EngineStatus Status(long pageBytes)
    {
        lock (_gate)
        {
            (int reserved, int cached) = _pages.InUse;
            return _counts.Snapshot() with
            {
                ActiveRequests = _active,
                QueuedRequests = _queue.Count,
                KeyValueBytesActive = reserved * pageBytes,
                KeyValueBytesCached = cached * pageBytes,
                KeyValueBytesCapacity = _pages.Capacity * pageBytes,
                IsDraining = _draining,
                IsHealthy = _failure is null,
                LastPass = _active > 0 ? Stopwatch.GetElapsedTime(Volatile.Read(ref _lastSign)) : TimeSpan.Zero,
            };
        }
    }

    /// <summary>Refuses a request where there would be no room for it.</summary>
    /// <exception cref="EngineOverloadedException">The queue is full, or the engine is ending.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    /// <exception cref="InvalidOperationException">The engine has failed.</exception>
    public void CheckRoom()
    {
        lock (_gate)
        {
            CheckRoomLocked();
        }
    }

    /// <summary>Puts a request into the queue.</summary>
    /// <exception cref="EngineOverloadedException">The queue is full, or the engine is ending.</exception>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    /// <exception cref="InvalidOperationException">The engine has failed.</exception>
    public void Enqueue(ServedRequest request)
    {
        lock (_gate)
        {
            if (request.State == RequestState.Ended)
            {
                // Its time was over before it came here, and its caller has been told.
                return;
            }

            CheckRoomLocked();
            _queue.Add(request);
            _counts.AddRequest();
        }

        _wake.Set();
    }

    /// <summary>Ends a request early: at once where it waits, when the pass under way allows where it runs.</summary>
    public void Stop(ServedRequest request, StopCause cause)
    {
        CancellationTokenSource? pass = null;
        bool waited;
        lock (_gate)
        {
            // Who has been admitted does not wait any more.
            bool isLate = cause == StopCause.QueueTimeout && request.State == RequestState.Running;
            if (isLate || request.State == RequestState.Ended || request.Stop != StopCause.None)
            {
                return;
            }

            request.Stop = cause;
            waited = request.State == RequestState.Queued;
            if (waited)
            {
                _queue.Remove(request);
                request.State = RequestState.Ended;
            }
            else if (_passHasPrompts)
            {
                // Its own or a neighbour's prompt makes the pass a long one.
                pass = _pass;
            }
        }

        if (waited)
        {
            Fail(request, StopException(request, cause));
            SignalIfDrained();
            return;
        }

        pass?.Cancel();
        _wake.Set();
    }

    /// <summary>Does something on the loop's thread, between passes.</summary>
    /// <returns>Ends when it is done.</returns>
    /// <exception cref="ObjectDisposedException">The engine has been disposed.</exception>
    /// <exception cref="InvalidOperationException">The engine has failed.</exception>
    public Task<T> Do<T>(Func<PageLedger, T> action)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            CheckLivesLocked();
            _work.Enqueue(() =>
            {
                try
                {
                    done.SetResult(action(_pages));
                }
                catch (Exception exception)
                {
                    done.SetException(exception);
                }
            });
        }

        _wake.Set();
        return done.Task;
    }

    /// <summary>Has the loop look again at who may be admitted: memory that another thread held has been given back.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Takes no further requests.</summary>
    /// <returns>Ends when none is left.</returns>
    public Task Drain()
    {
        Task drained;
        lock (_gate)
        {
            _draining = true;
            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            drained = _drained.Task;
        }

        SignalIfDrained();
        return drained;
    }

    /// <summary>Ends all requests and the thread.</summary>
    /// <returns>Ends when nothing is held any more.</returns>
    public Task EndAsync()
    {
        lock (_gate)
        {
            _draining = true;
            _disposed = true;
        }

        _pass.Cancel();
        _wake.Set();
        return _ended.Task;
    }

    /// <summary>Ends all requests and waits for the thread.</summary>
    public void Dispose()
    {
        EndAsync();
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }
    }

    private void CheckLivesLocked()
    {
        ObjectDisposedException.ThrowIf(_disposed, _owner);
        if (_failure is not null)
        {
            throw new InvalidOperationException($"The engine has failed and takes no requests: {_failure.Message}", _failure);
        }
    }

    private void CheckRoomLocked()
    {
        CheckLivesLocked();
        if (_draining)
        {
            _counts.AddRejected();
            throw new EngineOverloadedException(OverloadReason.Draining, "The engine is ending and takes no further requests.", TimeSpan.FromSeconds(5));
        }

        int most = _options.MaxConcurrentRequests + (_options.MaxQueuedRequests ?? 0);
        if (_active + _queue.Count >= most)
        {
            _counts.AddRejected();
            throw new EngineOverloadedException(
                OverloadReason.QueueFull,
                $"The engine is busy: {_active} requests are being worked on and {_queue.Count} wait; it takes {_options.MaxConcurrentRequests} and {_options.MaxQueuedRequests}.",
                TimeSpan.FromSeconds(1 + (_queue.Count / _options.MaxConcurrentRequests)));
        }
    }

    private void SignalIfDrained()
    {
        lock (_gate)
        {
            if (_drained is not null && _active == 0 && _queue.Count == 0)
            {
                _drained.TrySetResult();
            }
        }
    }

    private static Exception StopException(ServedRequest request, StopCause cause)
    {
        string seconds = Stopwatch.GetElapsedTime(request.Submitted).TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture);
        return cause switch
        {
            StopCause.TimeLimit => new TimeoutException($"The request's time limit came after {seconds} s, before its first token."),
            StopCause.QueueTimeout => new EngineOverloadedException(
                OverloadReason.QueueTimeout, $"The request has waited {seconds} s for its turn, which is as long as it may.", TimeSpan.FromSeconds(1)),
            _ => new OperationCanceledException(request.CancellationToken),
        };
    }
}
