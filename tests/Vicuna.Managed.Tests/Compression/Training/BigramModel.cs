using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Training;

namespace Vicuna.Managed.Tests.Compression.Training;

/// <summary>
/// The smallest language model with a gradient: logits of the next token are row A[token] times B, <c>[V, r] · [r, V]</c>, with dropout on the row.
/// </summary>
internal sealed class BigramModel : ITrainableModel, IDisposable
{
    private readonly int _vocabulary;
    private readonly int _rank;
    private readonly double _dropout;
    private readonly TrainableParameter _a;
    private readonly TrainableParameter _b;

    public BigramModel(
        int vocabulary = 16, int rank = 4, double dropout = 0, string nameA = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
        string nameB = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight")
    {
        (_vocabulary, _rank, _dropout) = (vocabulary, rank, dropout);
        _a = new TrainableParameter(nameA, rank, vocabulary);
        _b = new TrainableParameter(nameB, vocabulary, rank);
        Random random = new(3);
        foreach (ref float value in _a.Value.Floats(0, _a.Length))
        {
            value = (float)(random.NextDouble() - 0.5);
        }

        Parameters = [_a, _b];
    }

    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <summary>Called before every micro-batch that is learned from, with the number of it.</summary>
    public Action<int> OnAccumulate { get; set; } = static _ => { };

    public Action OnEvaluate { get; set; } = static () => { };

    public int Accumulated { get; private set; }

    /// <summary>Sample counts and scales of all micro-batches.</summary>
    public List<(int Samples, float Scale, ulong DropoutSeed)> Calls { get; } = [];

    public float[][] Values() => [.. Parameters.Select(parameter => parameter.Value.Floats(0, parameter.Length).ToArray())];

    public double Accumulate(IReadOnlyList<TrainingSample> samples, float scale, ulong dropoutSeed, CancellationToken cancellationToken)
    {
        OnAccumulate(Accumulated++);
        cancellationToken.ThrowIfCancellationRequested();
        Calls.Add((samples.Count, scale, dropoutSeed));
        Random random = new(unchecked((int)dropoutSeed));
        return Pass(samples, scale, () => random.NextDouble() >= _dropout ? 1 / (1 - _dropout) : 0);
    }

    public double Evaluate(IReadOnlyList<TrainingSample> samples, CancellationToken cancellationToken)
    {
        OnEvaluate();
        cancellationToken.ThrowIfCancellationRequested();
        return Pass(samples, scale: null, static () => 1);
    }

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
    }

    private double Pass(IReadOnlyList<TrainingSample> samples, float? scale, Func<double> mask)
    {
        Span<float> a = _a.Value.Floats(0, _a.Length);
        Span<float> b = _b.Value.Floats(0, _b.Length);
        Span<float> gradientA = _a.Gradient.Floats(0, _a.Length);
        Span<float> gradientB = _b.Gradient.Floats(0, _b.Length);
        double sum = 0;
        double[] hidden = new double[_rank];
        double[] masks = new double[_rank];
        double[] logits = new double[_vocabulary];
        foreach (TrainingSample sample in samples)
        {
            for (int t = 1; t < sample.Ids.Count; t++)
            {
                if (!sample.Targets[t])
                {
                    continue;
                }

                int token = sample.Ids[t - 1];
                for (int r = 0; r < _rank; r++)
                {
                    masks[r] = mask();
                    hidden[r] = masks[r] * a[(r * _vocabulary) + token];
                }

                for (int v = 0; v < _vocabulary; v++)
                {
                    logits[v] = 0;
                    for (int r = 0; r < _rank; r++)
                    {
                        logits[v] += b[(v * _rank) + r] * hidden[r];
                    }
                }

                double all = logits.Sum(Math.Exp);
                sum += Math.Log(all) - logits[sample.Ids[t]];
                for (int v = 0; scale is not null && v < _vocabulary; v++)
                {
                    double slope = ((Math.Exp(logits[v]) / all) - (v == sample.Ids[t] ? 1 : 0)) * scale.Value;
                    for (int r = 0; r < _rank; r++)
                    {
                        gradientA[(r * _vocabulary) + token] += (float)(slope * b[(v * _rank) + r] * masks[r]);
                        gradientB[(v * _rank) + r] += (float)(slope * hidden[r]);
                    }
                }
            }
        }

        return sum;
    }
}
