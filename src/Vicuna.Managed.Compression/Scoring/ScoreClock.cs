using System.Diagnostics;

namespace Vicuna.Managed.Compression.Scoring;

/// <summary>Counts work and tells how long the rest will take.</summary>
/// <param name="total">All work, in units of the caller's choice.</param>
/// <param name="progress">Hears of it; may be null.</param>
internal sealed class ScoreClock(double total, IProgress<ScoreProgress>? progress)
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private double _done;
    private double _skipped;

    /// <summary>Counts work that an earlier run did.</summary>
    public void Skip(double work)
    {
        _done += work;
        _skipped += work;
    }

    /// <summary>Counts finished work and reports it.</summary>
    /// <param name="step">What was done.</param>
    /// <param name="block">The block that it was done to.</param>
    /// <param name="work">How much, in units of the total.</param>
    public void Advance(string step, int block, double work)
    {
        _done += work;
        double timed = _done - _skipped;
        TimeSpan? remaining = timed > 0 ? Stopwatch.GetElapsedTime(_start) * (Math.Max(0, total - _done) / timed) : null;
        progress?.Report(new ScoreProgress(step, block, Math.Min(1, _done / total), remaining));
    }
}
