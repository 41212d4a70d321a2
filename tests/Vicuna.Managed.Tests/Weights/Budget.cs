using System.Diagnostics;

namespace Vicuna.Managed.Tests.Weights;

/// <summary>Fails a test whose block takes more time, or allocates more on this thread, than a hostile file may cost.</summary>
internal sealed class Budget(double seconds, long megabytes) : IDisposable
{
    private readonly Stopwatch _time = Stopwatch.StartNew();
    private readonly long _before = GC.GetAllocatedBytesForCurrentThread();

    public void Dispose()
    {
        long allocated = (GC.GetAllocatedBytesForCurrentThread() - _before) >> 20;
        Assert.True(allocated <= megabytes, $"allocated {allocated} MB, the budget is {megabytes}");
        Assert.True(_time.Elapsed.TotalSeconds <= seconds, $"took {_time.Elapsed}, the budget is {seconds} s");
    }
}
