using System.Globalization;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class WorkerPoolTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    public static TheoryData<int> ThreadCounts() => [1, 2, 3, 5, 16, 64];

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Run_AnyCountAndGrain_DoesEveryRowOnce(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 100);
        Assert.Equal(threads, pool.Threads);
        foreach (int count in new[] { 0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1000, 32_000 })
        {
            foreach (int grain in new[] { 1, 2, 3, 100, int.MaxValue })
            {
                RowsJob job = new(count);
                pool.Run(job, count, grain);
                pool.Run(job, count, grain);
                job.AssertEveryRowDone(2);
            }
        }
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Run_ManyTinyJobs_NeverHangs(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 1);
        RowsJob job = new(7);
        int times = threads > 16 ? 4000 : 20_000;
        for (int i = 0; i < times; i++)
        {
            pool.Run(job, 7, 1);
            if (i % 1000 == 0)
            {
                Thread.Sleep(1); // let everybody park now and then
            }
        }

        job.AssertEveryRowDone(times);
    });

    // A worker takes part in every job, and ends at every moment of the caller's way from spinning to sleeping.
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public Task Run_WorkerFinishesLater_NeverHangs(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 1);
        int caller = Environment.CurrentManagedThreadId;
        int delay = 0;
        int workerStarted = 0;
        RowsJob job = new(2);
        job.Body = _ =>
        {
            if (Environment.CurrentManagedThreadId != caller)
            {
                Volatile.Write(ref workerStarted, 1);
                Thread.SpinWait(delay);
                return;
            }

            SpinWait.SpinUntil(() => Volatile.Read(ref workerStarted) == 1);
        };
        const int times = 10_000;
        for (int i = 0; i < times; i++)
        {
            delay = i % 5000;
            workerStarted = 0;
            pool.Run(job, 2, 1);
        }

        job.AssertEveryRowDone(times);
    });

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Run_Cancelled_SkipsTheChunksThatAreLeftAndThrows(int threads)
    {
        using WorkerPool pool = new(threads, 0);
        using CancellationTokenSource cancel = new();
        CancellingJob job = new(cancel);
        Assert.Throws<OperationCanceledException>(() => pool.Run(job, 1000, 1, cancel.Token));
        Assert.InRange(job.Chunks, 1, threads);
        Assert.Throws<OperationCanceledException>(() => pool.Run(job, 1000, 1, cancel.Token));
        Assert.InRange(job.Chunks, 1, threads);
        pool.Run(job, 1000, 1);
        Assert.True(job.Chunks > threads, "the pool works on after a cancellation");
    }

[Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Run_JobThrows_CallerGetsItAndThePoolGoesOn(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 0);
        for (int bad = 0; bad < 100; bad += 3)
        {
            RowsJob job = new(100) { Body = row => ThrowIf(row == bad) };
            Assert.Equal("boom", Assert.Throws<InvalidDataException>(() => pool.Run(job, 100, 1)).Message);
            job.Body = null;
            Array.Clear(job.Done);
            pool.Run(job, 100, 1);
            job.AssertEveryRowDone(1);
        }

        RowsJob allBad = new(100) { Body = _ => ThrowIf(true) };
        Assert.Throws<InvalidDataException>(() => pool.Run(allBad, 100, 1));
    });

    [Fact]
    public Task Run_OnlyAWorkerThrows_CallerGetsIt() => WithinTime(() =>
    {
        int caller = 0;
        using WorkerPool pool = new(2, 0);
        for (int i = 0; i < 20; i++)
        {
            using ManualResetEventSlim workerRan = new();
            caller = Environment.CurrentManagedThreadId;
            RowsJob job = new(8)
            {
                Body = _ =>
                {
                    if (Environment.CurrentManagedThreadId == caller)
                    {
                        workerRan.Wait(); // the caller may not finish everything on its own
                        return;
                    }

                    workerRan.Set();
                    ThrowIf(true);
                },
            };
            Assert.Throws<InvalidDataException>(() => pool.Run(job, 8, 1));
        }
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Run_ConcurrentCallers_TakeTurns(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 10);
        int inside = 0;
        RowsJob[] jobs = [.. Enumerable.Range(0, 4).Select(_ => new RowsJob(50))];
        Thread[] callers = [.. jobs.Select(job => new Thread(() =>
        {
            for (int i = 0; i < 300; i++)
            {
                pool.Run(job, 50, 1);
                Interlocked.Increment(ref inside);
            }
        }))];
        Array.ForEach(callers, caller => caller.Start());
        Array.ForEach(callers, caller => caller.Join());
        Assert.Equal(1200, inside);
        Assert.All(jobs, job => job.AssertEveryRowDone(300));
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Dispose_Idle_EndsThePool(int threads) => WithinTime(() =>
    {
        foreach (int idleMilliseconds in new[] { 0, 1, 20 })
        {
            WorkerPool pool = new(threads, 10);
            RowsJob job = new(100);
            pool.Run(job, 100, 1);
            Thread.Sleep(idleMilliseconds);
            pool.Dispose();
            pool.Dispose();
            Assert.Throws<ObjectDisposedException>(() => pool.Run(job, 100, 1));
            job.AssertEveryRowDone(1);
            new WorkerPool(threads, 0).Dispose();
        }
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Dispose_WhileAnotherThreadRuns_FinishesThatJobFirst(int threads) => WithinTime(() =>
    {
        for (int round = 0; round < 4; round++)
        {
            WorkerPool pool = new(threads, 10);
            using ManualResetEventSlim started = new();
            RowsJob job = new(64);
            job.Body = _ => started.Set();
            int runs = 0;
            Exception? end = null;
            Thread runner = new(() =>
            {
                try
                {
                    while (true)
                    {
                        pool.Run(job, 64, 1);
                        runs++;
                    }
                }
                catch (Exception exception)
                {
                    end = exception;
                }
            });
            runner.Start();
            started.Wait();
            pool.Dispose();
            runner.Join();
            Assert.IsType<ObjectDisposedException>(end);
            Assert.NotEqual(0, runs);
            job.AssertEveryRowDone(runs);
        }
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public Task Run_ManyTimes_AllocatesNothing(int threads) => WithinTime(() =>
    {
        using WorkerPool pool = new(threads, 10);
        AllocationJob job = new();
        for (int i = 0; i < 200; i++)
        {
            pool.Run(job, 64, 1);
        }

        job.Reset();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            pool.Run(job, 64, 1);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(0, job.Allocated);
    });

    [Fact]
    public void Pool_WithoutWork_UsesNoCpu()
    {
        ChildResult child = ChildProcess.Run(ChildModes.IdlePool);
        Assert.True(child.ExitCode == 0, child.Error);
        Assert.InRange(double.Parse(child.Output, CultureInfo.InvariantCulture), 0, 0.2);
    }

    [Fact]
    public void Constructor_WrongNumbers_Throws()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(0, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(-1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(1, -1));
    }

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(1, 1, 64)]
    [InlineData(3, 16, 192)]
    [InlineData(3, 17, 384)]
    [InlineData(64, 500_000_000, 128_000_000_000)]
    public void MemoryBytes_IsWholeCacheLinesPerThread(int threads, int elements, long bytes) => Assert.Equal(bytes, WorkerPool.MemoryBytes(threads, elements));

    private static void ThrowIf(bool condition)
    {
        if (condition)
        {
            throw new InvalidDataException("boom");
        }
    }

    // A hang is the failure to look for: it must not take the whole test run with it.
    private static Task WithinTime(Action body) =>
        Task.Factory.StartNew(body, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(Hang);

    /// <summary>Adds up what the threads of a pool allocate between two rows that they do.</summary>
    private sealed class AllocationJob : ParallelJob
    {
        [ThreadStatic]
        private static long s_seen;

        [ThreadStatic]
        private static int s_round;

        private int _round;
        private long _allocated;

        public long Allocated => Interlocked.Read(ref _allocated);

        public void Reset()
        {
            _round++;
            _allocated = 0;
        }

        public override void Run(int start, int end, Span<float> scratch)
        {
            long now = GC.GetAllocatedBytesForCurrentThread();
            if (s_round == _round && s_seen != now)
            {
                Interlocked.Add(ref _allocated, now - s_seen);
            }

            s_round = _round;
            s_seen = now;
        }
    }

    private sealed class CancellingJob(CancellationTokenSource cancel) : ParallelJob
    {
        private int _chunks;

        public int Chunks => _chunks;

        public override void Run(int start, int end, Span<float> scratch)
        {
            Interlocked.Increment(ref _chunks);
            cancel.Cancel();
        }
    }
}
