namespace Vicuna.Managed.Generation;

/// <summary>
/// The mean of vectors, one per token in the order of their positions, so that it does not depend on how the tokens came in passes. Not safe for concurrent use.
/// </summary>
/// <param name="length">D, elements of a vector.</param>
internal sealed class HiddenMean(int length)
{
    private readonly double[] _sum = new double[length];
    private int _count;

    /// <summary>Takes in the next token's vector.</summary>
    /// <param name="hidden">f32 <c>[D]</c>.</param>
    public void Add(ReadOnlySpan<float> hidden)
    {
        for (int i = 0; i < _sum.Length; i++)
        {
            _sum[i] += hidden[i];
        }

        _count++;
    }

    /// <summary>The mean, divided by its Euclidean norm; zeros where it is zero.</summary>
    /// <exception cref="NonFiniteLogitsException">It is not a number.</exception>
    public float[] Normalized()
    {
        double square = 0;
        for (int i = 0; i < _sum.Length; i++)
        {
            double mean = _sum[i] / _count;
            square += mean * mean;
        }

        if (!double.IsFinite(square))
        {
            throw new NonFiniteLogitsException($"The output of the last block over {_count} tokens is not a number: the weights or the input are damaged.");
        }

        double scale = square > 0 ? 1 / (Math.Sqrt(square) * _count) : 0;
        float[] normalized = new float[_sum.Length];
        for (int i = 0; i < normalized.Length; i++)
        {
            normalized[i] = (float)(_sum[i] * scale);
        }

        return normalized;
    }
}
