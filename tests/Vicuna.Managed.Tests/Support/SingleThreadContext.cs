using System.Collections.Concurrent;

namespace Vicuna.Managed.Tests.Support;

/// <summary>A thread with a queue, like a user interface's: work that blocks it is seen by its silence.</summary>
internal sealed class SingleThreadContext : SynchronizationContext
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _queue = [];

    public int ThreadId { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => _queue.Add((d, state));

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Nothing may wait for this thread.");

    /// <summary>Runs asynchronous work on a thread of its own until it ends, and passes on what it throws.</summary>
    public static void Run(Func<SingleThreadContext, Task> work)
    {
        SingleThreadContext context = new();
        Task? task = null;
        Thread thread = new(() =>
        {
            SetSynchronizationContext(context);
            context.ThreadId = Environment.CurrentManagedThreadId;
            task = work(context);
            task.ContinueWith(_ => context._queue.CompleteAdding(), TaskScheduler.Default);
            foreach ((SendOrPostCallback callback, object? state) in context._queue.GetConsumingEnumerable())
            {
                callback(state);
            }
        });
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromSeconds(60)), "the thread with the queue hangs");
        task!.GetAwaiter().GetResult();
    }
}
