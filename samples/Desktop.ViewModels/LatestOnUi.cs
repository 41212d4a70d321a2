namespace DesktopSample.ViewModels;

/// <summary>
/// Brings a value that changes at any rate, on any thread, to the user interface's thread at most once an interval, and never more than one at a time:
/// a model that makes thousands of tokens a second, or a slow screen, cannot flood the thread. The first change is shown at once, the last one always.
/// </summary>
/// <typeparam name="T">What is shown.</typeparam>
internal sealed class LatestOnUi<T> : IDisposable
{
    /// <summary>Time between two updates: 30 a second look continuous.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(33);

    // Nothing to show; a value on its way; a value on its way, and a newer one behind it.
    private const int Idle = 0;
    private const int OnItsWay = 1;
    private const int Outdated = 2;

    private readonly SynchronizationContext _ui;
    private readonly TimeProvider _time;
    private readonly Func<T> _take;
    private readonly Action<T> _show;
    private readonly ITimer _timer;
    private long _shownAt;
    private int _state;
    private bool _disposed;

    /// <summary>Starts, on the user interface's thread.</summary>
    /// <param name="ui">The thread's context.</param>
    /// <param name="time">The clock.</param>
    /// <param name="take">Takes the value; called on the thread pool.</param>
    /// <param name="show">Shows it; called on the user interface's thread, not after <see cref="Dispose"/>.</param>
    public LatestOnUi(SynchronizationContext ui, TimeProvider time, Func<T> take, Action<T> show)
    {
        (_ui, _time, _take, _show) = (ui, time, take, show);
        _shownAt = time.GetTimestamp() - (long)(Interval.TotalSeconds * time.TimestampFrequency);
        _timer = time.CreateTimer(_ => Send(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Says that there is a newer value; from any thread, without waiting for anything.</summary>
    public void Changed()
    {
        while (true)
        {
            switch (Volatile.Read(ref _state))
            {
                case Outdated:
                    return;
                case OnItsWay when Interlocked.CompareExchange(ref _state, Outdated, OnItsWay) == OnItsWay:
                    return;
                case Idle when Interlocked.CompareExchange(ref _state, OnItsWay, Idle) == Idle:
                    Schedule();
                    return;
            }
        }
    }

    /// <summary>Stops, on the user interface's thread: what is still on its way is not shown.</summary>
    public void Dispose()
    {
        _disposed = true;
        _timer.Dispose();
    }

    private void Schedule()
    {
        TimeSpan rest = Interval - _time.GetElapsedTime(Volatile.Read(ref _shownAt));
        _timer.Change(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void Send()
    {
        // In this order: a change that comes after the value was taken is seen as a newer one.
        Interlocked.Exchange(ref _state, OnItsWay);
        T value = _take();
        _ui.Post(
            _ =>
            {
                if (_disposed)
                {
                    return;
                }

                _show(value);
                Volatile.Write(ref _shownAt, _time.GetTimestamp());
                if (Interlocked.CompareExchange(ref _state, Idle, OnItsWay) == Outdated)
                {
                    Schedule();
                }
            },
            null);
    }
}
