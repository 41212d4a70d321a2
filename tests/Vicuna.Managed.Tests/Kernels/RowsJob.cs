using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>Counts how often each row was done and checks that nobody else uses the work space meanwhile.</summary>
internal sealed class RowsJob(int rows) : ParallelJob
{
    public int[] Done { get; } = new int[rows];

    /// <summary>Done for every row, after it was counted.</summary>
    public Action<int>? Body { get; set; }

    public int Collisions { get; private set; }

    public override void Run(int start, int end, Span<float> scratch)
    {
        scratch.Fill(start);
        for (int row = start; row < end; row++)
        {
            Interlocked.Increment(ref Done[row]);
            Body?.Invoke(row);
        }

        if (scratch.ContainsAnyExcept(start))
        {
            Collisions++;
        }
    }

    public void AssertEveryRowDone(int times)
    {
        Assert.All(Done, count => Assert.Equal(times, count));
        Assert.Equal(0, Collisions);
    }
}
