using System.Globalization;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Models;

namespace PicoVicunaSample;

/// <summary>The one place where the model is trained.</summary>
internal static class Training
{
    private const int StepsPerLine = 50;

    /// <summary>Trains a model from random weights and writes its model.safetensors. An interrupted run goes on where it was.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="samples">What it learns.</param>
    /// <param name="folder">Where the checkpoint goes; the tokenizer is there already.</param>
    /// <param name="report">Takes lines for people.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static void Run(
        ModelConfig config, IReadOnlyList<TrainingSample> samples, string folder, Action<string> report, CancellationToken cancellationToken)
    {
        report($"training: {config.ParameterCount:N0} weights, {samples.Sum(sample => (long)sample.TargetCount):N0} tokens to predict");
        ModelTrainer.Train(config, samples, folder, Recipe.Training, new Reporter(report), cancellationToken);
    }

    // Not Progress<T>, which reports from other threads and late.
    private sealed class Reporter(Action<string> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.Stage == TrainingStage.Step && (value.Step % StepsPerLine == 0 || value.Step == value.Steps))
            {
                report(string.Create(
                    CultureInfo.InvariantCulture,
                    $"step {value.Step}/{value.Steps}  loss {value.Loss:0.000}  {value.TokensPerSecond:0} tokens/s  {value.TimeLeft.TotalMinutes:0.0} minutes left"));
            }
        }
    }
}
