using System.Collections.Concurrent;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Jobs that not all threads of a pool may work on, and pools beside each other.</summary>
public sealed class WorkerPoolCapTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData(8, 1)]
    [InlineData(8, 2)]
    [InlineData(16, 5)]
    [InlineData(4, 4)]
    [InlineData(4, 100)]
    public void Run_CappedJob_IsDoneByNoMoreThreads(int threads, int cap)
    {
        using WorkerPool pool = new(threads, 4);
        using ThreadsJob free = new(pool);
        pool.Run(free, 100, 1); // some workers still spin, others sleep
        using ThreadsJob job = new(pool) { MaxThreads = cap };
        for (int i = 0; i < 500; i++)
        {
            pool.Run(job, 100, 1);
        }

        Assert.Equal(500 * 100, job.Rows);
        Assert.InRange(job.Threads.Count, 1, cap);
        Assert.Contains(Environment.CurrentManagedThreadId, job.Threads);
    }

    [Fact]
    public void Run_CappedJobOnAnIdlePool_LeavesTheOthersAsleep()
    {
        using WorkerPool pool = new(12, 0);
        using ThreadsJob job = new(pool) { MaxThreads = 3 };
        WaitUntilIdle(pool);
        for (int i = 0; i < 200; i++)
        {
            pool.Run(job, 50, 1);
        }

        Assert.True(job.FewestParked >= 12 - 3, $"{job.FewestParked} of 9 slept on.");
    }

    [Fact]
    public void Run_CapsThatChange_DoEveryRowOnce()
    {
        using WorkerPool pool = new(16, 0);
        using ThreadsJob job = new(pool);
        for (int i = 0; i < 5000; i++)
        {
            job.MaxThreads = 1 + (i * 7 % 17);
            pool.Run(job, 33, 1);
        }

        Assert.Equal(5000 * 33, job.Rows);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(16)]
    [InlineData(64)]
    public void Pool_WithoutWork_ParksEveryWorker(int threads)
    {
        using WorkerPool pool = new(threads, 0);
        WaitUntilIdle(pool);
        using ThreadsJob job = new(pool);
        pool.Run(job, 1000, 1);
        WaitUntilIdle(pool);
        pool.Run(job, 1000, 1);
        Assert.Equal(2000, job.Rows);
    }

    // More threads than processors, two pools, three callers each: whoever waits for a thread that nobody runs, or for a wake-up that was
    // lost, hangs.
    [Fact]
    public Task Run_TwoPoolsWithTooManyThreads_NeverHangsAndComputesTheSame() => Task.Factory.StartNew(
        () =>
        {
            const int rows = 300;
            using WorkerPool small = new(16, 8);
            using WorkerPool large = new(64, 8);
            double[] expected = [.. Enumerable.Range(0, rows).Select(SumJob.Row)];
            SumJob[] jobs = [.. Enumerable.Range(0, 6).Select(_ => new SumJob(rows))];
            Thread[] callers = [.. jobs.Select((job, number) => new Thread(() =>
            {
                for (int i = 0; i < 200; i++)
                {
                    job.MaxThreads = 1 + ((i + number) * 5 % 70);
                    (i % 2 == number % 2 ? small : large).Run(job, rows, 1 + (i % 9));
                    if (!job.Sums.AsSpan().SequenceEqual(expected))
                    {
                        job.Wrong++;
                    }

                    Array.Clear(job.Sums);
                }
            }))];
            Array.ForEach(callers, caller => caller.Start());
            Array.ForEach(callers, caller => caller.Join());
            Assert.All(jobs, job => Assert.Equal(0, job.Wrong));
        },
        CancellationToken.None,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default).WaitAsync(Hang);

    [Fact]
    public void Constructor_MoreThreadsThanItCanCount_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(WorkerPool.MaxThreads + 1, 0));

    private static void WaitUntilIdle(WorkerPool pool) =>
        Assert.True(SpinWait.SpinUntil(() => pool.ParkedThreads == pool.Threads - 1, Hang), $"{pool.ParkedThreads} of {pool.Threads - 1} sleep.");

    private sealed class ThreadsJob(WorkerPool pool) : ParallelJob, IDisposable
    {
        private readonly ThreadLocal<bool> _seen = new();
        private readonly ConcurrentBag<int> _threads = [];
        private int _rows;
        private int _fewestParked = int.MaxValue;

        public ConcurrentBag<int> Threads => _threads;

        public int Rows => _rows;

        public int FewestParked => _fewestParked;

        public override void Run(int start, int end, Span<float> scratch)
        {
            if (!_seen.Value)
            {
                _seen.Value = true;
                _threads.Add(Environment.CurrentManagedThreadId);
            }

            int parked = pool.ParkedThreads;
            for (int fewest = Volatile.Read(ref _fewestParked); parked < fewest; fewest = Volatile.Read(ref _fewestParked))
            {
                Interlocked.CompareExchange(ref _fewestParked, parked, fewest);
            }

            Interlocked.Add(ref _rows, end - start);
        }

        public void Dispose() => _seen.Dispose();
    }

    private sealed class SumJob(int rows) : ParallelJob
    {
        public double[] Sums { get; } = new double[rows];

        public int Wrong { get; set; }

        public static double Row(int row)
        {
            double sum = 0;
            for (int i = 1; i < 200; i++)
            {
                sum += Math.Sqrt(row + (1.0 / i));
            }

            return sum;
        }

        public override void Run(int start, int end, Span<float> scratch)
        {
            for (int row = start; row < end; row++)
            {
                Sums[row] += Row(row); // a row that is done twice shows
            }
        }
    }
}
