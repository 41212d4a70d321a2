namespace Vicuna.Managed.Generation;

/// <summary>Runs long compute on a thread of its own: never on the caller's thread, and without taking one from the thread pool.</summary>
internal static class ComputeThread
{
    /// <summary>Starts the work.</summary>
    public static Task<T> Run<T>(Func<T> work, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(work, cancellationToken, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
}
