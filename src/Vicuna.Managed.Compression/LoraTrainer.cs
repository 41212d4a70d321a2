using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Compression.Training;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Heals a shortened model: trains low-rank updates of its projections (LoRA, Hu et al. 2021) while its own weights stay as they are. What comes out is an
/// adapter in PEFT's files, to be loaded beside the model or merged into it.
/// </summary>
public static class LoraTrainer
{
    /// <summary>
    /// Trains an adapter. While it trains, its state is saved in <c>checkpoint</c> inside the folder: after an interruption of any kind
    /// <see cref="TrainingOptions.Resume"/> goes on from there and ends with the same bytes. The adapter appears at the end, as it was where
    /// the held-out samples' loss was lowest; the state stays, so that resuming a finished training says so.
    /// </summary>
    /// <param name="model">The model; it is not changed.</param>
    /// <param name="data">What to learn from, for example from <see cref="TrainingData.Load"/>.</param>
    /// <param name="folder">Where the adapter goes; made if need be. It holds no adapter yet, unless a training is resumed.</param>
    /// <param name="options">How to train; null for the defaults.</param>
    /// <param name="progress">Hears of every step; may be null.</param>
    /// <param name="cancellationToken">Stops the work at once; the last whole step is saved.</param>
    /// <returns>How it went.</returns>
    /// <exception cref="ArgumentException">An option is out of range, there is no sample, or a sample does not fit the model.</exception>
    /// <exception cref="ModelFormatException">The saved state is damaged, or of a training with another model, other data or options.</exception>
    /// <exception cref="IOException">The folder holds a training or an adapter that is not to be resumed, or cannot be written.</exception>
    /// <exception cref="TrainingFailedException">A loss or a gradient is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public static TrainingReport Train(
        LanguageModel model, IReadOnlyList<TrainingSample> data, string folder, HealOptions? options = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new HealOptions();
        options.Check();
        SampleChecks.Check(data, model.Config.VocabSize, model.ContextLength);
        string identity = Convert.ToHexStringLower(model.Decoder.Fingerprint);
        using LoraModel trainable = new(model, new LoraModelOptions(options.Rank, options.Alpha, options.Dropout, options.TargetModules, options.Seed));
        return LoraRun.Train(trainable, identity, model.Info.Path, data, folder, options, progress, cancellationToken);
    }
}
