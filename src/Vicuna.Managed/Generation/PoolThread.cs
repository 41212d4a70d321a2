namespace Vicuna.Managed.Generation;

/// <summary>Runs short work, of milliseconds, on the thread pool: not on the caller's thread, which may be a user interface's.</summary>
internal static class PoolThread
{
    /// <summary>Starts the work.</summary>
    public static Task<T> Run<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
}
