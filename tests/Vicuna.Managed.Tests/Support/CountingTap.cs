using Vicuna.Managed.Models;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Does something after a number of blocks.</summary>
internal sealed class CountingTap(int blocks, Action action) : IActivationTap
{
    private int _seen;

    public void AfterBlock(int layer, ReadOnlySpan<float> hidden)
    {
        if (++_seen == blocks)
        {
            action();
        }
    }
}
