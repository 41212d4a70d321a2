using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Limits;

/// <summary>
/// The machine's own limits with given numbers of threads and an instruction set, to set a model's speed against. A shared machine's limits change
/// from minute to minute, so they are measured again beside every measurement.
/// </summary>
internal sealed class MachineLimits : IDisposable
{
    private readonly WorkerPool _pool;
    private readonly MemoryRead _memory;
    private readonly FmaPeak _arithmetic;

    /// <summary>Allocates the buffers and warms up.</summary>
    /// <param name="tier">The instruction set.</param>
    /// <param name="readingThreads">Threads that read memory, 1 or more.</param>
    /// <param name="computingThreads">Threads that multiply and add, 1 or more.</param>
    /// <param name="memoryBytes">Size of the buffer that is read.</param>
    public MachineLimits(IsaTier tier, int readingThreads, int computingThreads, long memoryBytes)
    {
        _pool = new WorkerPool(Math.Max(readingThreads, computingThreads), 0);
        _memory = new MemoryRead(_pool, tier, memoryBytes) { MaxThreads = readingThreads };
        _arithmetic = new FmaPeak(_pool, tier) { MaxThreads = computingThreads };
    }

    /// <summary>Size of the buffer that is read, in bytes.</summary>
    public long MemoryBytes => _memory.Bytes;

    /// <summary>Measures both: about half a second.</summary>
    /// <param name="cancellationToken">Checked before each piece of each round.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public MachineSpeed Measure(CancellationToken cancellationToken) => new(_memory.Best(cancellationToken), _arithmetic.Best(cancellationToken));

    /// <summary>Ends the threads and frees the buffers.</summary>
    public void Dispose()
    {
        _pool.Dispose();
        _memory.Dispose();
        _arithmetic.Dispose();
    }
}
