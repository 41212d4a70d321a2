using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>
/// A user interface's thread, without the interface: callbacks one after the other on one thread. It notes what must not happen on such a thread: waits
/// inside a callback, wherever in the code they are, and the processor time of each callback, which, unlike the time on the clock, is that of the callback
/// alone on a machine where others run too.
/// </summary>
internal sealed class UiThread : SynchronizationContext, IDisposable
{
    private const int LinuxThreadCpuTime = 3;

    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _queue = [];
    private readonly Thread _thread;
    private bool _isInCallback;
    private int _posted;

    public UiThread()
    {
        // Makes the runtime ask this context to wait, where code on the thread blocks.
        SetWaitNotificationRequired();
        _thread = new Thread(Loop) { IsBackground = true, Name = "User interface" };
        _thread.Start();
    }

    /// <summary>Whether processor time can be measured here.</summary>
    public static bool MeasuresCpuTime => OperatingSystem.IsLinux();

    /// <summary>Whether the caller is on the thread.</summary>
    public bool IsCurrent => Thread.CurrentThread == _thread;

    /// <summary>Callbacks that were posted.</summary>
    public int Posted => Volatile.Read(ref _posted);

    /// <summary>Where a callback waited.</summary>
    public ConcurrentQueue<string> Waits { get; } = [];

    /// <summary>What callbacks threw.</summary>
    public ConcurrentQueue<Exception> Errors { get; } = [];

    /// <summary>Callbacks that have ended: their processor time, and whether garbage was collected meanwhile, which the runtime may do on any thread.</summary>
    public ConcurrentQueue<(TimeSpan Cpu, bool WithCollection)> Callbacks { get; } = [];

    public override void Post(SendOrPostCallback d, object? state)
    {
        Interlocked.Increment(ref _posted);
        try
        {
            _queue.Add((d, state));
        }
        catch (InvalidOperationException)
        {
            // As in a toolkit whose window is closed: what comes afterwards is not run.
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("It would keep the caller waiting.");

    public override SynchronizationContext CreateCopy() => this;

    public override int Wait(IntPtr[] waitHandles, bool waitAll, int millisecondsTimeout)
    {
        if (_isInCallback)
        {
            Waits.Enqueue(new StackTrace().ToString());
        }

        return base.Wait(waitHandles, waitAll, millisecondsTimeout);
    }

    /// <summary>Runs something on the thread.</summary>
    public Task RunAsync(Func<Task> body)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(
            async _ =>
            {
                try
                {
                    await body();
                    done.SetResult();
                }
                catch (Exception error)
                {
                    done.SetException(error);
                }
            },
            null);
        return done.Task;
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
    }

    private void Loop()
    {
        SetSynchronizationContext(this);
        foreach ((SendOrPostCallback callback, object? state) in _queue.GetConsumingEnumerable())
        {
            int collections = GC.CollectionCount(0);
            TimeSpan before = CpuTime();
            _isInCallback = true;
            try
            {
                callback(state);
            }
            catch (Exception error)
            {
                Errors.Enqueue(error);
            }

            _isInCallback = false;
            Callbacks.Enqueue((CpuTime() - before, GC.CollectionCount(0) != collections));
        }
    }

    private static TimeSpan CpuTime()
    {
        if (!MeasuresCpuTime)
        {
            return TimeSpan.Zero;
        }

        Assert.Equal(0, ClockGetTime(LinuxThreadCpuTime, out TimeSpec time));
        return TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000);
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ClockGetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec
    {
        public readonly nint Seconds;
        public readonly nint Nanoseconds;
    }
}
