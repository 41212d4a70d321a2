using System.Collections.Concurrent;

namespace Vicuna.Managed.Extensions.AI.Tests.Support;

/// <summary>A user interface's thread: what is posted to its context runs on it, one after the other.</summary>
internal sealed class SingleThread : SynchronizationContext
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _posted = [];

    public override void Post(SendOrPostCallback d, object? state) => _posted.Add((d, state));

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException();

    /// <summary>Runs something on a new such thread.</summary>
    public static Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Thread thread = new(() =>
        {
            SingleThread context = new();
            SetSynchronizationContext(context);
            Task<T> task = work();
            task.ContinueWith(_ => context._posted.CompleteAdding(), TaskScheduler.Default);
            foreach ((SendOrPostCallback callback, object? state) in context._posted.GetConsumingEnumerable())
            {
                callback(state);
            }

            done.SetFromTask(task);
        }) { IsBackground = true };
        thread.Start();
        return done.Task.WaitAsync(TimeSpan.FromMinutes(1));
    }
}
