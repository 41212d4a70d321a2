using System.Globalization;
using Vicuna.Managed.Adapters;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// A LoRA training with its folder: the state under way in <c>checkpoint/state.safetensors</c>, at the end the best adapter in PEFT's files. The state stays
/// there, without what only further training would need, so that a run that is resumed after its end finds that it is finished.
/// </summary>
internal static class LoraRun
{
    private const string CheckpointFolder = "checkpoint";
    private const string StateFile = "state.safetensors";

    /// <summary>Trains and writes the adapter.</summary>
    /// <param name="model">Its parameters are named as PEFT names an adapter's tensors.</param>
    /// <param name="identity">Tells the model under the adapter from others.</param>
    /// <param name="baseModel">What the adapter's settings call that model.</param>
    /// <param name="data">The samples.</param>
    /// <param name="folder">The folder; made if need be.</param>
    /// <param name="options">How to train.</param>
    /// <param name="progress">Hears of every step; may be null.</param>
    /// <param name="cancellationToken">Stops the work; it can be resumed.</param>
    /// <exception cref="IOException">The folder holds a training or an adapter that is not to be resumed, or cannot be written.</exception>
    public static TrainingReport Train(
        ITrainableModel model, string identity, string baseModel, IReadOnlyList<TrainingSample> data, string folder, HealOptions options,
        IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        string state = Path.Combine(folder, CheckpointFolder, StateFile);
        if (File.Exists(Path.Combine(folder, PeftAdapterFile.ConfigFile)) && !(options.Resume && File.Exists(state)))
        {
            throw new IOException($"{folder}: expected a folder without an adapter{(options.Resume ? ", or one with the state of its training" : "")}, found {PeftAdapterFile.ConfigFile}.");
        }

        Trainer trainer = new(model, data, options, identity, state);
        Directory.CreateDirectory(Path.GetDirectoryName(state)!);
        TrainingReport report = trainer.Run(progress, cancellationToken);
        PeftAdapterFile.Write(folder, AdapterOf(model.Parameters, options, baseModel));
        return report;
    }

    /// <summary>The adapter that parameters are.</summary>
    /// <exception cref="InvalidOperationException">A parameter is not a factor, or has no other factor.</exception>
    public static PeftAdapter AdapterOf(IReadOnlyList<TrainableParameter> parameters, HealOptions options, string baseModel)
    {
        SortedDictionary<(int Layer, BlockMatrix Matrix), (float[]? A, float[]? B)> factors = [];
        foreach (TrainableParameter parameter in parameters)
        {
            if (!PeftTensorName.TryParse(parameter.Name, out PeftTensorName name))
            {
                throw new InvalidOperationException($"{parameter.Name}: expected the name of a factor.");
            }

            float[] values = parameter.Value.Floats(0, parameter.Length).ToArray();
            (float[]? A, float[]? B) pair = factors.GetValueOrDefault((name.Layer, name.Matrix));
            factors[(name.Layer, name.Matrix)] = name.IsB ? (pair.A, values) : (values, pair.B);
        }

        PeftConfig config = new()
        {
            Rank = options.Rank,
            Alpha = options.Alpha,
            Dropout = options.Dropout,
            TargetModules = options.TargetModules,
            BaseModel = baseModel,
        };
        return new PeftAdapter(config, [.. factors.Select(factor => new LoraPair(
            factor.Key.Layer,
            BlockMatrices.NameOf(factor.Key.Matrix),
            options.Rank,
            factor.Value.A ?? throw Alone(factor.Key.Layer),
            factor.Value.B ?? throw Alone(factor.Key.Layer)))]);
    }

    private static InvalidOperationException Alone(int layer) =>
        new(string.Create(CultureInfo.InvariantCulture, $"Block {layer}: expected both factors of every projection."));
}
