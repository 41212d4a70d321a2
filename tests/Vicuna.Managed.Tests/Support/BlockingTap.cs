using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Stops a pass in its middle, so that a test can do something else meanwhile without any luck in timing.</summary>
internal sealed class BlockingTap : IActivationTap, IDisposable
{
    private readonly ManualResetEventSlim _reached = new();
    private readonly ManualResetEventSlim _release = new();

    public void AfterBlock(int layer, ReadOnlySpan<float> hidden)
    {
        _reached.Set();
        _release.Wait();
    }

    /// <summary>Waits until the pass has come here.</summary>
    public void WaitUntilReached() => Assert.True(_reached.Wait(TimeSpan.FromSeconds(60)), "the pass has not begun");

    public void Release() => _release.Set();

    public void Dispose()
    {
        _release.Set();
        _reached.Dispose();
    }
}
