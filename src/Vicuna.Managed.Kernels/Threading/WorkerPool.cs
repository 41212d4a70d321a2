using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Threading;

/// <summary>
/// A fixed number of threads that share the rows of one job at a time; the calling thread works too. Chunks of rows are claimed as threads
/// become free, so a thread that the operating system holds back delays only its own chunk. A row's result does not depend on who computes it,
/// which makes results equal for any number of threads. Waiting threads spin briefly, then park: an idle pool uses no CPU.
/// Dispatching allocates nothing.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    /// <summary>Most threads of a pool: their chunks are counted in 16 bits.</summary>
    public const int MaxThreads = 4096;

    // About 3 microseconds.
    private const int SpinsPerYield = 64;

    // Longer than the serial work between two products of one layer and than choosing a token, shorter than anyone would notice. Where there are more
    // threads than processors, one that spins takes the time of one that works.
    private static readonly long SpinTicks = Stopwatch.Frequency / 2000;
    private static readonly long SpinTicksOversubscribed = Stopwatch.Frequency / 50_000;

    private readonly long _spinTicks;
    private readonly Lock _gate = new();
    private readonly Thread[] _threads;
    private readonly SemaphoreSlim[] _wake;
    private readonly int[] _parked;
    private readonly SemaphoreSlim _done = new(0);
    private readonly AlignedBuffer _scratch;

    // Upper half: number of the job; then 16 bits: threads that may take part; lowest 16 bits: chunks not yet claimed. One compare-exchange
    // claims a chunk of that very job.
    private long _claims;
    private int _finished;
    private int _callerParked;
    private volatile bool _stopping;

    // Written before _claims publishes a job and read after a claim on it, so a late thread never sees another job's fields.
    private ParallelJob? _job;
    private int _count;
    private int _chunks;
    private CancellationToken _cancellation;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Starts <paramref name="threads"/> - 1 threads.</summary>
    /// <param name="threads">Threads that compute, the calling one included; 1 to <see cref="MaxThreads"/>.</param>
    /// <param name="scratchElements">Work space per thread, in f32 elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than one thread, too many, or a negative size.</exception>
    public WorkerPool(int threads, int scratchElements)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threads, MaxThreads);
        ArgumentOutOfRangeException.ThrowIfNegative(scratchElements);
        Threads = threads;
        _spinTicks = threads <= Environment.ProcessorCount ? SpinTicks : SpinTicksOversubscribed;
        ScratchElements = scratchElements;
        _scratch = AlignedBuffer.AllocateFloats((long)threads * PaddedScratch(scratchElements));
        _parked = new int[threads];
        _wake = new SemaphoreSlim[threads];
        _threads = new Thread[threads - 1];
        for (int i = 1; i < threads; i++)
        {
            _wake[i] = new SemaphoreSlim(0);
        }

        for (int i = 1; i < threads; i++)
        {
            int worker = i;
            _threads[i - 1] = new Thread(() => WorkerLoop(worker)) { IsBackground = true, Name = $"Vicuna worker {i}" };
            _threads[i - 1].Start();
        }
    }

    /// <summary>Threads that compute, the calling one included.</summary>
    public int Threads { get; }

    /// <summary>Work space per thread, in f32 elements.</summary>
    public int ScratchElements { get; }

    /// <summary>Worker threads that sleep until a job wakes them; all but the calling one when the pool is idle.</summary>
    public int ParkedThreads
    {
        get
        {
            int parked = 0;
            for (int i = 1; i < Threads; i++)
            {
                parked += Volatile.Read(ref _parked[i]);
            }

            return parked;
        }
    }

    /// <summary>Native memory that a pool holds, in bytes.</summary>
    public static long MemoryBytes(int threads, int scratchElements) => checked(threads * PaddedScratch(scratchElements) * sizeof(float));

    /// <summary>
    /// Runs a job over rows 0 to <paramref name="count"/> - 1 and returns when all are done. Calls from several threads take turns. At most
    /// <see cref="ParallelJob.MaxThreads"/> threads take part.
    /// </summary>
    /// <param name="job">The work.</param>
    /// <param name="count">Number of rows.</param>
    /// <param name="grain">Rows below which a chunk is not worth a thread of its own, 1 or more.</param>
    /// <param name="cancellationToken">Checked before each chunk; what has been computed by then is lost.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The pool has been disposed.</exception>
    public void Run(ParallelJob job, int count, int grain, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            cancellationToken.ThrowIfCancellationRequested();
            int participants = Math.Min(Threads, job.MaxThreads);
            int chunks = (int)Math.Min(Math.Min((long)participants * job.ChunksPerThread, ushort.MaxValue), (count + (long)grain - 1) / grain);
            if (chunks <= 1)
            {
                job.Run(0, count, Scratch(0));
                return;
            }

            _job = job;
            _count = count;
            _chunks = chunks;
            _finished = 0;
            _cancellation = cancellationToken;
            uint number = (uint)(Volatile.Read(ref _claims) >> 32) + 1;
            Interlocked.Exchange(ref _claims, ((long)number << 32) | ((long)participants << 16) | (uint)chunks);
            WakeWorkers(participants);
            WorkOn(number, Scratch(0));
            WaitForTheOthers(chunks);
            _job = null;
            _cancellation = default;
            ExceptionDispatchInfo? failure = Interlocked.Exchange(ref _failure, null);
            failure?.Throw();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Ends the threads, after the job under way.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
        }

        foreach (SemaphoreSlim wake in _wake.AsSpan(1))
        {
            wake.Release();
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        foreach (SemaphoreSlim wake in _wake.AsSpan(1))
        {
            wake.Dispose();
        }

        _done.Dispose();
        _scratch.Dispose();
    }

    // Whole cache lines per thread, so that two threads never write to one line.
    private static long PaddedScratch(int elements) => (elements + 15L) / 16 * 16;

    private Span<float> Scratch(int worker) => _scratch.Floats(worker * PaddedScratch(ScratchElements), ScratchElements);

    // Whether there are chunks to claim, and the worker may.
    private static bool HasWork(long claims, int worker) => (ushort)claims != 0 && worker < (ushort)(claims >> 16);

    private void WakeWorkers(int participants)
    {
        for (int i = 1; i < participants; i++)
        {
            if (Interlocked.Exchange(ref _parked[i], 0) == 1)
            {
                _wake[i].Release();
            }
        }
    }

    // Waits a little, and says whether to wait on. Now and then the processor is offered to others: where the system has put two of our threads on one,
    // the one that waits must not keep the one that works from it.
    private static bool Waited(int spin, long end)
    {
        ProcessorHints.Pause();
        if (spin % SpinsPerYield != 0)
        {
            return true;
        }

        Thread.Yield();
        return Stopwatch.GetTimestamp() < end;
    }

    private void WorkerLoop(int worker)
    {
        while (!_stopping)
        {
            long claims = Volatile.Read(ref _claims);
            long end = Stopwatch.GetTimestamp() + _spinTicks;
            for (int spin = 1; !HasWork(claims, worker) && !_stopping && Waited(spin, end); spin++)
            {
                claims = Volatile.Read(ref _claims);
            }

            if (HasWork(claims, worker))
            {
                WorkOn((uint)(claims >> 32), Scratch(worker));
            }
            else
            {
                Park(worker);
            }
        }
    }

    private void Park(int worker)
    {
        Interlocked.Exchange(ref _parked[worker], 1);
        // A job published before the mark above was visible sent no wake-up: look once more. Taking the mark back fails only when a
        // wake-up is on its way, and then it has to be consumed.
        bool workAppeared = HasWork(Volatile.Read(ref _claims), worker);
        if (workAppeared && Interlocked.Exchange(ref _parked[worker], 0) == 1)
        {
            return;
        }

        _wake[worker].Wait();
    }

    private void WorkOn(uint number, Span<float> scratch)
    {
        while (TryClaim(number, out int chunk))
        {
            int chunks = _chunks;
            try
            {
                if (!_cancellation.IsCancellationRequested)
                {
                    int start = (int)((long)chunk * _count / chunks);
                    int end = (int)((long)(chunk + 1) * _count / chunks);
                    _job!.Run(start, end, scratch);
                }
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            }

            if (Interlocked.Increment(ref _finished) == chunks && Interlocked.Exchange(ref _callerParked, 0) == 1)
            {
                _done.Release();
            }
        }
    }

    private bool TryClaim(uint number, out int chunk)
    {
        long seen = Volatile.Read(ref _claims);
        while ((uint)(seen >> 32) == number && (ushort)seen != 0)
        {
            long before = Interlocked.CompareExchange(ref _claims, seen - 1, seen);
            if (before == seen)
            {
                chunk = (ushort)seen - 1;
                return true;
            }

            seen = before;
        }

        chunk = 0;
        return false;
    }

    private void WaitForTheOthers(int chunks)
    {
        long end = Stopwatch.GetTimestamp() + _spinTicks;
        for (int spin = 1; Waited(spin, end); spin++)
        {
            if (Volatile.Read(ref _finished) == chunks)
            {
                return;
            }
        }

        // A loop: the last thread of an earlier job may see this job's mark and wake the caller too early.
        while (Volatile.Read(ref _finished) != chunks)
        {
            Interlocked.Exchange(ref _callerParked, 1);
            bool finished = Volatile.Read(ref _finished) == chunks;
            if (finished && Interlocked.Exchange(ref _callerParked, 0) == 1)
            {
                return;
            }

            _done.Wait();
        }
    }
}
