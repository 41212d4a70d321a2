using System.Numerics.Tensors;

namespace Vicuna.Managed.Compression.Training;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2), with the corrections of both means for their start at 0:
/// θ ← θ (1 - ηλ); m ← β₁m + (1 - β₁)g; v ← β₂v + (1 - β₂)g²; θ ← θ - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε).
/// Every operation is an element's own and rounded to f32, so that the result does not depend on the CPU's vectors.
/// </summary>
internal sealed class AdamW(TrainingOptions options)
{
    // As much as stays in the first cache with everything that is read and written beside it.
    private const int Chunk = 1024;

    private readonly float[] _gradient = new float[Chunk];
    private readonly float[] _work = new float[Chunk];

    /// <summary>Changes one parameter by one step.</summary>
    /// <param name="value">θ, <c>[n]</c>.</param>
    /// <param name="gradient">g before clipping, <c>[n]</c>.</param>
    /// <param name="mean">m, <c>[n]</c>.</param>
    /// <param name="square">v, <c>[n]</c>.</param>
    /// <param name="step">The step, from 0: t is one more.</param>
    /// <param name="learningRate">η, dimensionless.</param>
    /// <param name="clip">Factor of the gradient, dimensionless.</param>
    /// <param name="decays">Whether the weight decay is for this parameter.</param>
    public void Update(
        Span<float> value, ReadOnlySpan<float> gradient, Span<float> mean, Span<float> square, int step, double learningRate, double clip, bool decays)
    {
        double meanCorrection = 1 - Math.Pow(options.Beta1, step + 1);
        double squareCorrection = 1 - Math.Pow(options.Beta2, step + 1);
        float keep = (float)(1 - (learningRate * (decays ? options.WeightDecay : 0)));
        float rate = (float)(learningRate / meanCorrection);
        float squareScale = (float)(1 / Math.Sqrt(squareCorrection));
        for (int start = 0; start < value.Length; start += Chunk)
        {
            int count = Math.Min(Chunk, value.Length - start);
            Span<float> m = mean.Slice(start, count);
            Span<float> v = square.Slice(start, count);
            Span<float> theta = value.Slice(start, count);
            Span<float> g = _gradient.AsSpan(0, count);
            Span<float> work = _work.AsSpan(0, count);

            TensorPrimitives.Multiply(gradient.Slice(start, count), (float)clip, g);
            TensorPrimitives.Multiply(m, (float)options.Beta1, m);
            TensorPrimitives.Multiply(g, (float)(1 - options.Beta1), work);
            TensorPrimitives.Add(m, work, m);

            TensorPrimitives.Multiply(v, (float)options.Beta2, v);
            TensorPrimitives.Multiply(g, g, g);
            TensorPrimitives.Multiply(g, (float)(1 - options.Beta2), g);
            TensorPrimitives.Add(v, g, v);

            TensorPrimitives.Sqrt(v, g);
            TensorPrimitives.Multiply(g, squareScale, g);
            TensorPrimitives.Add(g, (float)options.Epsilon, g);
            TensorPrimitives.Divide(m, g, work);
            TensorPrimitives.Multiply(work, rate, work);
            TensorPrimitives.Multiply(theta, keep, theta);
            TensorPrimitives.Subtract(theta, work, theta);
        }
    }
}
