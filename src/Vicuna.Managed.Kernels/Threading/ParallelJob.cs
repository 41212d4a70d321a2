namespace Vicuna.Managed.Kernels.Threading;

/// <summary>Work over independent rows. Instances are kept and reused, so that handing one to a <see cref="WorkerPool"/> allocates nothing.</summary>
internal abstract class ParallelJob
{
    /// <summary>Most threads that take part, the calling one included, 1 or more. The pool has no more than it has; those left out sleep on.</summary>
    public int MaxThreads { get; set; } = int.MaxValue;

    /// <summary>
    /// Chunks that each thread's share is cut into, 1 or more. A few even out unequal threads and cost next to nothing to claim; work that takes long takes
    /// more, because cancellation is looked at between chunks.
    /// </summary>
    public int ChunksPerThread { get; set; } = 4;

    /// <summary>Does rows <paramref name="start"/> up to, not including, <paramref name="end"/>.</summary>
    /// <param name="start">First row.</param>
    /// <param name="end">Row after the last.</param>
    /// <param name="scratch">Work space of the calling thread, f32 <c>[WorkerPool.ScratchElements]</c>; its content is undefined.</param>
    public abstract void Run(int start, int end, Span<float> scratch);
}
