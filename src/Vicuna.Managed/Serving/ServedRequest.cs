using System.Diagnostics;
using Vicuna.Managed.Generation;

namespace Vicuna.Managed.Serving;

/// <summary>
/// A request on its way through the engine. The <see cref="Scheduler"/> moves it from state to state; what it computes and whom it tells is its own
/// business. Members are for the scheduler's thread unless they say otherwise.
/// </summary>
/// <param name="prompt">The prompt's tokens, at least one.</param>
/// <param name="priority">Which of the waiting requests is next.</param>
/// <param name="key">What decides, beside its tokens, what is computed.</param>
/// <param name="telemetry">What is told of it.</param>
/// <param name="cancellationToken">The caller's, for the exception that tells him of it.</param>
internal abstract class ServedRequest(
    IReadOnlyList<int> prompt, RequestPriority priority, PrefixKey key, RequestTelemetry telemetry, CancellationToken cancellationToken)
{
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<IDisposable> _registrations = [];

    /// <summary>The prompt's tokens.</summary>
    public IReadOnlyList<int> PromptIds => prompt;

    /// <summary>Which of the waiting requests is next.</summary>
    public RequestPriority Priority => priority;

    /// <summary>What decides, beside its tokens, what is computed.</summary>
    public PrefixKey Key => key;

    /// <summary>The caller's token.</summary>
    public CancellationToken CancellationToken => cancellationToken;

    /// <summary>What is told of it.</summary>
    public RequestTelemetry Telemetry => telemetry;

    /// <summary>Ends when the request holds nothing any more. For any thread.</summary>
    public Task Released => _released.Task;

    /// <summary>Where it is on its way; guarded by the scheduler's lock.</summary>
    public RequestState State { get; set; }

    /// <summary>Why it is to end early; guarded by the scheduler's lock.</summary>
    public StopCause Stop { get; set; }

    /// <summary>Its place in the queue; guarded by the scheduler's lock.</summary>
    public LinkedListNode<ServedRequest>? Place { get; set; }

    /// <summary>Whether its prompt has yet to be computed, so that a pass may be long because of it.</summary>
    public bool IsPrefilling { get; protected set; } = true;

    /// <summary>When it came, a <see cref="Stopwatch"/> time stamp.</summary>
    public long Submitted { get; } = Stopwatch.GetTimestamp();

    /// <summary>Pages of keys and values that it holds, or may still need, alone.</summary>
    public int OwnPages { get; set; }

    /// <summary>Most tokens that it will run through the model.</summary>
    public abstract int MaxPositions { get; }

    /// <summary>Whether it may begin with what other requests have computed, and leave what it computes to others.</summary>
    public abstract bool UsesPrefixCache { get; }

    /// <summary>Whether it has a sequence.</summary>
    public abstract bool HasBegun { get; }

    /// <summary>The sequence, once it is running.</summary>
    public abstract Sequence Sequence { get; }

    /// <summary>Tokens of its answer so far.</summary>
    public abstract int NewTokens { get; }

    /// <summary>Begins to run.</summary>
    /// <param name="match">The beginning of the prompt that is known; the sequence shares its pages.</param>
    /// <exception cref="Exception">It cannot begin; it is as if it had not.</exception>
    public abstract void Begin(PrefixMatch match);

    /// <summary>Some of the prompt was in memory.</summary>
    public abstract void AddCached(int tokens);

    /// <summary>Takes what a pass has brought.</summary>
    /// <returns>Whether it goes on.</returns>
    /// <exception cref="Exception">It cannot go on.</exception>
    public abstract bool Advance();

    /// <summary>Puts together what it has, at its end or because its time is over; <see cref="Announce"/> tells it.</summary>
    /// <param name="isEarly">Whether its time is over.</param>
    /// <returns>Whether it has anything; always, unless it is early.</returns>
    public abstract bool Finish(bool isEarly);

    /// <summary>Tells what <see cref="Finish"/> has put together, when nothing is held any more.</summary>
    public abstract void Announce();

    /// <summary>Tells that it has failed. For any thread.</summary>
    public abstract void Fail(Exception exception);

    /// <summary>Lets go of the sequence.</summary>
    public abstract void Free();

    /// <summary>Adds something to be disposed when the request ends: a timer, a registration. For the thread that submits it.</summary>
    public void Own(IDisposable registration)
    {
        lock (_registrations)
        {
            if (!_released.Task.IsCompleted)
            {
                _registrations.Add(registration);
                return;
            }
        }

        // The request has ended meanwhile.
        registration.Dispose();
    }

    /// <summary>Marks the end: nothing is held any more. For any thread.</summary>
    public void Release()
    {
        lock (_registrations)
        {
            _registrations.ForEach(registration => registration.Dispose());
            _registrations.Clear();
            _released.TrySetResult();
        }
    }
}
