using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>A new model, all of whose weights are trained, in f32.</summary>
internal sealed class FullModel : ITrainableModel, IDisposable
{
    // Hugging Face's initializer_range.
    private const double Deviation = 0.02;

    private readonly Dictionary<string, TrainableParameter> _byName;
    private readonly DecoderWeights _weights;
    private readonly ModelConfig _config;
    private readonly GrowingPass _pass;

    /// <summary>
    /// Makes weights: normal with deviation 0.02, those that write to the residual stream smaller by √(2 · blocks) (Radford et al. 2019), gains one.
    /// </summary>
    /// <param name="config">The shape; without biases.</param>
    /// <param name="tier">Instruction set.</param>
    /// <param name="threads">Threads that compute.</param>
    /// <param name="seed">Chooses the weights.</param>
    public FullModel(ModelConfig config, IsaTier tier, int threads, long seed)
    {
        _config = config;
        Parameters = [.. Shapes(config).Select(tensor => new TrainableParameter(tensor.Name, tensor.Shape))];
        _byName = Parameters.ToDictionary(parameter => parameter.Name, StringComparer.Ordinal);
        for (int i = 0; i < Parameters.Count; i++)
        {
            Initialize(Parameters[i], config.NumHiddenLayers, seed, i);
        }

        Dictionary<string, StoredTensor> tensors = Parameters.ToDictionary(
            parameter => parameter.Name,
            parameter => new StoredTensor(
                new TensorInfo(parameter.Name, TensorType.F32, [.. parameter.Shape], parameter.Value.Length, "model"),
                new ByteRegion(parameter.Value, 0, parameter.Value.Length)),
            StringComparer.Ordinal);
        _weights = DecoderWeights.Bind(config, tensors, "model", tier, RopeStyle.Halves);
        _pass = new GrowingPass(new PassModel(config, _weights, tier, threads), context => new FullVisitor(context, _byName));
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public double Accumulate(IReadOnlyList<TrainingSample> samples, float scale, ulong dropoutSeed, CancellationToken cancellationToken)
    {
        CopyGains();
        TokenBatch batch = new(samples);
        DecoderGradient pass = _pass.For(batch);
        double[] losses = pass.ForwardAndBackward(batch, _ => scale, cancellationToken);
        ((FullVisitor)pass.Visitor).EmbeddingBackward(batch.Ids, pass.Gradient, cancellationToken);
        return losses.Sum();
    }

    /// <inheritdoc/>
    public double Evaluate(IReadOnlyList<TrainingSample> samples, CancellationToken cancellationToken)
    {
        CopyGains();
        TokenBatch batch = new(samples);
        DecoderGradient pass = _pass.For(batch);
        pass.Forward(batch, cancellationToken);
        return pass.Loss(batch, pass.InputOf(_config.NumHiddenLayers), cancellationToken).Sum();
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _pass.Dispose();
        _weights.Dispose();
        foreach (TrainableParameter parameter in Parameters)
        {
            parameter.Dispose();
        }
    }

    private static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config)
    {
        yield return (TensorNames.Embedding, [config.VocabSize, config.HiddenSize]);
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            yield return (TensorNames.Of(layer, Gain.Attention), [config.HiddenSize]);
            foreach (BlockMatrix matrix in Enum.GetValues<BlockMatrix>())
            {
                (int rows, int columns) = BlockMatrices.ShapeOf(matrix, config);
                yield return (TensorNames.Of(layer, matrix), [rows, columns]);
            }

            yield return (TensorNames.Of(layer, Gain.FeedForward), [config.HiddenSize]);
        }

        yield return (TensorNames.Of(0, Gain.Final), [config.HiddenSize]);
        if (!config.TieWordEmbeddings)
        {
            yield return (TensorNames.Head, [config.VocabSize, config.HiddenSize]);
        }
    }

    private static void Initialize(TrainableParameter parameter, int layers, long seed, int stream)
    {
        Span<float> values = parameter.Value.Floats(0, parameter.Length);
        if (parameter.Shape.Count == 1)
        {
            values.Fill(1f);
            return;
        }

        bool writesToStream = parameter.Name.EndsWith("o_proj.weight", StringComparison.Ordinal) || parameter.Name.EndsWith("down_proj.weight", StringComparison.Ordinal);
        double deviation = writesToStream ? Deviation / Math.Sqrt(2.0 * layers) : Deviation;
        long key = unchecked((long)CounterRandom.Mix((ulong)seed + ((ulong)(uint)stream << 32)));
        for (int i = 0; i < values.Length; i++)
        {
            // Box and Muller 1958: two uniform numbers make a normal one.
            double radius = Math.Sqrt(-2 * Math.Log(1 - CounterRandom.NextDouble(key, 2 * i)));
            values[i] = (float)(deviation * radius * Math.Cos(2 * Math.PI * CounterRandom.NextDouble(key, (2 * i) + 1)));
        }
    }

    // Gains are read from arrays of the blocks, not from where training changes them.
    private void CopyGains()
    {
        Copy(TensorNames.Of(0, Gain.Final), _weights.FinalNorm);
        for (int layer = 0; layer < _weights.Blocks.Length; layer++)
        {
            Copy(TensorNames.Of(layer, Gain.Attention), _weights.Blocks[layer].AttentionNorm);
            Copy(TensorNames.Of(layer, Gain.FeedForward), _weights.Blocks[layer].FeedForwardNorm);
        }
    }

    private void Copy(string name, float[] gain) => _byName[name].Value.Floats(0, gain.Length).CopyTo(gain);
}
