namespace Vicuna.Managed.Compression.Training;

/// <summary>The learning rate of every step.</summary>
internal static class LearningRate
{
    /// <summary>The learning rate of step <paramref name="step"/>, dimensionless.</summary>
    /// <param name="options">Rate, schedule and warm-up.</param>
    /// <param name="step">The step, 0 to <paramref name="steps"/> - 1.</param>
    /// <param name="steps">Steps in all.</param>
    public static double At(TrainingOptions options, int step, int steps)
    {
        if (step < options.WarmupSteps)
        {
            return options.LearningRate * step / options.WarmupSteps;
        }

        double left = (double)(steps - step) / Math.Max(1, steps - options.WarmupSteps);
        return options.Schedule switch
        {
            LearningRateSchedule.Constant => options.LearningRate,
            LearningRateSchedule.Cosine => options.LearningRate * (0.5 - (0.5 * Math.Cos(Math.PI * left))),
            _ => options.LearningRate * left,
        };
    }
}
