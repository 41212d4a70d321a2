using Vicuna.Managed.Compression.Backprop;
using Vicuna.Managed.Compression.Conversion;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>Trains small models of the Llama family from random weights.</summary>
public static class ModelTrainer
{
    private const string WeightsFile = "model.safetensors";
    private const string CheckpointFolder = "checkpoint";
    private const string StateFile = "state.safetensors";

    /// <summary>
    /// Trains a model and writes its <c>config.json</c> and <c>model.safetensors</c>. While it trains, its state is saved in <c>checkpoint</c> inside the
    /// folder, from which <see cref="TrainingOptions.Resume"/> goes on and ends with the same bytes; it is deleted at the end. The weights are those with
    /// the lowest loss on the held-out samples.
    /// </summary>
    /// <param name="config">The shape; without biases.</param>
    /// <param name="data">What to learn from, for example from <see cref="TrainingData.Load"/>.</param>
    /// <param name="folder">Where the model goes; made if need be. It holds no weights yet; other files stay as they are.</param>
    /// <param name="options">How to train; null for the defaults.</param>
    /// <param name="progress">Hears of every step; may be null.</param>
    /// <param name="cancellationToken">Stops the work at once; the last whole step is saved.</param>
    /// <returns>How it went.</returns>
    /// <exception cref="ArgumentException">An option is out of range, there is no sample, or one does not fit the model.</exception>
    /// <exception cref="ModelFormatException">The shape is not that of a model, has biases, a weight does not fit the type, or the saved state is another training's.</exception>
    /// <exception cref="IOException">The folder holds weights or a training that is not to be resumed, or cannot be written.</exception>
    /// <exception cref="TrainingFailedException">A loss or a gradient is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static TrainingReport Train(
        ModelConfig config, IReadOnlyList<TrainingSample> data, string folder, ModelTrainingOptions? options = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new ModelTrainingOptions();
        options.Check();
        config.Validate("config");
        if (config.AttentionBias || config.MlpBias)
        {
            throw new ModelFormatException("config", "expected a model without biases to train", config.AttentionBias ? "attention_bias" : "mlp_bias");
        }

        SampleChecks.Check(data, config.VocabSize, config.MaxPositionEmbeddings);
        string weights = Path.Combine(folder, WeightsFile);
        if (File.Exists(weights))
        {
            throw new IOException($"{weights}: expected a folder without weights, found this file.");
        }

        string state = Path.Combine(folder, CheckpointFolder, StateFile);
        using FullModel model = new(config, IsaTiers.Best, options.Threads ?? Environment.ProcessorCount, options.Seed);
        Trainer trainer = new(model, data, options, $"new {config.ParameterCount}", state);
        Directory.CreateDirectory(Path.GetDirectoryName(state)!);
        TrainingReport report = trainer.Run(progress, cancellationToken);
        WriteConfig(config, folder, options.Type);
        WriteWeights(model.Parameters, weights, options.Type);
        Directory.Delete(Path.GetDirectoryName(state)!, recursive: true);
        return report;
    }

    private static void WriteConfig(ModelConfig config, string folder, TensorType type)
    {
        string name = type switch { TensorType.F16 => "float16", TensorType.BF16 => "bfloat16", _ => "float32" };
        using StagedFile file = StagedFile.Create(Path.Combine(folder, "config.json"), overwrite: true);
        file.Stream.Write(ConfigWriter.Write(config, name));
        file.Commit();
    }

    private static void WriteWeights(IReadOnlyList<TrainableParameter> parameters, string path, TensorType type)
    {
        using SafetensorsWriter writer = SafetensorsWriter.Create(
            path, [.. parameters.Select(parameter => (parameter.Name, type, parameter.Shape.ToArray()))], new Dictionary<string, string> { ["format"] = "pt" });
        Dictionary<string, TrainableParameter> byName = parameters.ToDictionary(parameter => parameter.Name, StringComparer.Ordinal);
        foreach (TensorInfo tensor in writer.Order)
        {
            TrainableParameter parameter = byName[tensor.Name];
            byte[] stored = new byte[tensor.ByteLength];
            if (WeightEncoder.Encode(type, parameter.Value.Floats(0, parameter.Length), stored) is float value)
            {
                throw new ModelFormatException(Path.GetFileName(path), $"expected numbers within the range of {type}, found {value}", tensor.Name);
            }

            writer.Write(stored);
        }

        writer.Commit();
    }
}
