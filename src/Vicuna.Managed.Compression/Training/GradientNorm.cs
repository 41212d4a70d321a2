namespace Vicuna.Managed.Compression.Training;

/// <summary>The Euclidean norm of a gradient.</summary>
internal static class GradientNorm
{
    // Enough sums side by side to hide an addition's latency; their number is fixed, so that the result does not depend on the CPU.
    private const int Sums = 8;

    // What Hugging Face's trainer adds to the norm before it divides (PyTorch's clip_grad_norm_), so that its runs are followed.
    private const double ClipEpsilon = 1e-6;

    /// <summary>The norm of all gradients together, summed up in f64 in an order that is always the same; NaN or infinite where one of them is.</summary>
    public static double Of(IReadOnlyList<TrainableParameter> parameters) =>
        Math.Sqrt(parameters.Sum(parameter => SumOfSquares(parameter.Gradient.Floats(0, parameter.Length))));

    /// <summary>What the gradient is multiplied with so that its norm is at most <paramref name="clipNorm"/>; 0 = any norm.</summary>
    public static double ClipFactor(double norm, double clipNorm) => clipNorm > 0 ? Math.Min(1, clipNorm / (norm + ClipEpsilon)) : 1;

    private static double SumOfSquares(ReadOnlySpan<float> values)
    {
        Span<double> sums = stackalloc double[Sums];
        sums.Clear();
        int whole = values.Length - (values.Length % Sums);
        for (int i = 0; i < whole; i += Sums)
        {
            ReadOnlySpan<float> part = values.Slice(i, Sums);
            for (int lane = 0; lane < Sums; lane++)
            {
                sums[lane] += (double)part[lane] * part[lane];
            }
        }

        for (int i = whole; i < values.Length; i++)
        {
            sums[i - whole] += (double)values[i] * values[i];
        }

        double total = 0;
        foreach (double sum in sums)
        {
            total += sum;
        }

        return total;
    }
}
