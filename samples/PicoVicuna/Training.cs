using Vicuna.Managed.Compression;
using Vicuna.Managed.Models;

namespace PicoVicunaSample;

/// <summary>The one place where the model is trained.</summary>
internal static class Training
{
    /// <summary>Trains a model from random weights and writes its model.safetensors.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="samples">What it learns, in this order.</param>
    /// <param name="folder">Where the checkpoint goes; the tokenizer and the configurations are there already.</param>
    /// <param name="limits">When to end before all samples were seen.</param>
    /// <param name="report">Takes lines for people.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="NotSupportedException">This build of the library does not train whole models.</exception>
    public static void Run(
        ModelConfig config, IReadOnlyList<TrainingSample> samples, string folder, TrainingLimits limits, Action<string> report, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        report($"training: {config.ParameterCount:N0} weights, {samples.Sum(sample => (long)sample.TargetCount):N0} tokens to predict, at most {limits.Steps?.ToString() ?? "all"} steps");
        throw new NotSupportedException($"This build of the library cannot train the model of {folder}; --corpus-only makes everything else.");
    }
}
