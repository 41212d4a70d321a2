namespace Vicuna.Managed.Kernels.Threading;

/// <summary>A job that is a delegate, for work that is dispatched seldom enough to allocate one.</summary>
/// <param name="work">The work.</param>
internal sealed class RangeJob(RangeWork work) : ParallelJob
{
    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch) => work(start, end, scratch);
}
