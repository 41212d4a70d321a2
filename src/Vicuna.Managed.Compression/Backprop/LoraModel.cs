using System.Globalization;
using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;
using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>A loaded model whose own weights stay as they are, with new adapters that are trained.</summary>
internal sealed class LoraModel : ITrainableModel, IDisposable
{
    private readonly Dictionary<(int Layer, BlockMatrix Matrix), LoraFactors> _factors = [];
    private readonly GrowingPass _pass;

    /// <summary>Makes adapters: A uniform within ±1/√in (Kaiming's with a = √5, as PEFT draws it), B zero.</summary>
    /// <param name="model">The model; it must outlive this object.</param>
    /// <param name="options">The adapters' shape.</param>
    /// <exception cref="ArgumentException">The model is a GGUF file, whose rows of Q and K stand in another order than an adapter's.</exception>
    public LoraModel(LanguageModel model, LoraModelOptions options)
    {
        PassModel passModel = PassModel.Of(model);
        if (passModel.Weights.RopeStyle != RopeStyle.Halves)
        {
            throw new ArgumentException(
                $"{model.Info.Path}: expected a Hugging Face checkpoint to train an adapter for, found a GGUF file; convert it to safetensors first.", nameof(model));
        }

        int number = 0;
        for (int layer = 0; layer < passModel.Config.NumHiddenLayers; layer++)
        {
            foreach (BlockMatrix matrix in Enum.GetValues<BlockMatrix>())
            {
                string path = BlockMatrices.NameOf(matrix);
                if (options.TargetModules.Contains(path[(path.IndexOf('.', StringComparison.Ordinal) + 1)..]))
                {
                    (int rows, int columns) = BlockMatrices.ShapeOf(matrix, passModel.Config);
                    LoraFactors factors = new(string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{path}"), options.Rank, rows, columns, passModel.Tier);
                    FillUniform(factors.A.Value.Floats(0, factors.A.Length), 1 / Math.Sqrt(columns), options.Seed, number);
                    _factors.Add((layer, matrix), factors);
                    number++;
                }
            }
        }

        Parameters = [.. _factors.Values.SelectMany(factors => (TrainableParameter[])[factors.A, factors.B])];
        _pass = new GrowingPass(passModel, context => new LoraVisitor(context, _factors, options.Rank, (float)(options.Alpha / options.Rank), options.Dropout));
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public double Accumulate(IReadOnlyList<TrainingSample> samples, float scale, ulong dropoutSeed, CancellationToken cancellationToken)
    {
        TokenBatch batch = new(samples);
        DecoderGradient pass = _pass.For(batch);
        ((LoraVisitor)pass.Visitor).DropoutSeed = dropoutSeed;
        return pass.ForwardAndBackward(batch, _ => scale, cancellationToken).Sum();
    }

    /// <inheritdoc/>
    public double Evaluate(IReadOnlyList<TrainingSample> samples, CancellationToken cancellationToken)
    {
        TokenBatch batch = new(samples);
        DecoderGradient pass = _pass.For(batch);
        ((LoraVisitor)pass.Visitor).DropoutSeed = null;
        pass.Forward(batch, cancellationToken);
        return pass.Loss(batch, pass.InputOf(pass.Context.Config.NumHiddenLayers), cancellationToken).Sum();
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _pass.Dispose();
        foreach (LoraFactors factors in _factors.Values)
        {
            factors.Dispose();
        }
    }

    private static void FillUniform(Span<float> values, double bound, long seed, int stream)
    {
        long key = unchecked((long)CounterRandom.Mix((ulong)seed + ((ulong)(uint)stream << 32)));
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)(((2 * CounterRandom.NextDouble(key, i)) - 1) * bound);
        }
    }
}
