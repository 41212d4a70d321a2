namespace Vicuna.Managed.Compression.Training;

/// <summary>Tells how long a training will take, from how long its steps and measurements have taken so far.</summary>
internal sealed class TrainingClock(TimeProvider time)
{
    private double _stepSeconds;
    private int _steps;
    private double _evaluationSeconds;
    private int _evaluations;

    /// <summary>Time as <see cref="TimeProvider.GetTimestamp"/> has it.</summary>
    public long Now => time.GetTimestamp();

    /// <summary>Time since a moment.</summary>
    public TimeSpan Since(long moment) => time.GetElapsedTime(moment);

    /// <summary>Counts a step that began at a moment; returns its seconds.</summary>
    public double EndStep(long began)
    {
        double seconds = Since(began).TotalSeconds;
        _stepSeconds += seconds;
        _steps++;
        return seconds;
    }

    /// <summary>Counts a measurement that began at a moment.</summary>
    public void EndEvaluation(long began)
    {
        _evaluationSeconds += Since(began).TotalSeconds;
        _evaluations++;
    }

    /// <summary>How long so many steps and measurements will take.</summary>
    public TimeSpan Left(int steps, int evaluations)
    {
        double seconds = (steps * _stepSeconds / Math.Max(1, _steps)) + (evaluations * _evaluationSeconds / Math.Max(1, _evaluations));
        return TimeSpan.FromSeconds(Math.Min(seconds, TimeSpan.MaxValue.TotalSeconds / 2));
    }
}
