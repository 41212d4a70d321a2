using System.Collections.Concurrent;
using Terminal.Gui.App;

namespace DesktopSample;

/// <summary>The main loop as a <see cref="SynchronizationContext"/>: what is posted runs in the loop, in order, and never at once inside the caller.</summary>
internal sealed class MainLoopContext(IApplication app) : SynchronizationContext
{
    private readonly ConcurrentQueue<(SendOrPostCallback Callback, object? State)> _queue = [];

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state)
    {
        _queue.Enqueue((d, state));
        app.AddTimeout(
            TimeSpan.Zero,
            () =>
            {
                if (_queue.TryDequeue(out (SendOrPostCallback Callback, object? State) next))
                {
                    next.Callback(next.State);
                }

                return false;
            });
    }

    /// <summary>Not supported: it would keep the caller waiting for the window.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Use Post.");

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;
}
