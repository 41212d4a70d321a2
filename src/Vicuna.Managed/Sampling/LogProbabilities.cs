using System.Numerics.Tensors;

namespace Vicuna.Managed.Sampling;

/// <summary>Log-probabilities of tokens from logits: natural logarithms, of the model's own distribution. The buffer is kept. Not safe for concurrent use.</summary>
internal sealed class LogProbabilities
{
    private readonly double[] _chunk = new double[1024];

    /// <summary>What is to be subtracted from a logit: the logarithm of the sum of all exponentials.</summary>
    /// <param name="logits">f32 <c>[V]</c>; none is NaN.</param>
    public double Normalizer(ReadOnlySpan<float> logits)
    {
        double maximum = TensorPrimitives.Max(logits);
        double sum = 0;
        for (int start = 0; start < logits.Length; start += _chunk.Length)
        {
            ReadOnlySpan<float> part = logits[start..Math.Min(start + _chunk.Length, logits.Length)];
            Span<double> weights = _chunk.AsSpan(0, part.Length);
            TensorPrimitives.ConvertChecked(part, weights);
            TensorPrimitives.Subtract(weights, maximum, weights);
            TensorPrimitives.Exp<double>(weights, weights);
            sum += TensorPrimitives.Sum<double>(weights);
        }

        return maximum + Math.Log(sum);
    }

    /// <summary>The likeliest tokens, the likeliest first; of equal ones the lower id first.</summary>
    /// <param name="logits">f32 <c>[V]</c>; none is NaN.</param>
    /// <param name="count">How many; of a small vocabulary all.</param>
    public static int[] Top(ReadOnlySpan<float> logits, int count)
    {
        int[] ids = new int[Math.Min(count, logits.Length)];
        int found = 0;
        for (int id = 0; id < logits.Length && ids.Length > 0; id++)
        {
            if (found == ids.Length && !(logits[id] > logits[ids[^1]]))
            {
                continue;
            }

            // From the end to its place; an equal one that came before stays before.
            int place = found < ids.Length ? found++ : found - 1;
            while (place > 0 && logits[ids[place - 1]] < logits[id])
            {
                ids[place] = ids[place - 1];
                place--;
            }

            ids[place] = id;
        }

        return ids;
    }
}
