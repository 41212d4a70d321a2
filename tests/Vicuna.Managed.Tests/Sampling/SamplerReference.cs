using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Tests.Sampling;

/// <summary>
/// The probabilities from which a token is to be drawn, plainly in f64: bias, penalties, softmax at the temperature, then top-k, top-p and
/// min-p one after the other, each on the full, renormalized result of the one before.
/// </summary>
internal static class SamplerReference
{
    public static double[] Probabilities(ReadOnlySpan<float> logits, SamplingSettings settings, IReadOnlyList<int> prompt, IReadOnlyList<int> answer)
    {
        double[] adjusted = new double[logits.Length];
        for (int id = 0; id < logits.Length; id++)
        {
            double logit = logits[id] + (double)settings.LogitBias.Where(pair => pair.Key == id).Sum(pair => pair.Value);
            if (prompt.Contains(id) || answer.Contains(id))
            {
                logit = logit > 0 ? logit / settings.RepetitionPenalty : logit * settings.RepetitionPenalty;
            }

            int uses = answer.Count(token => token == id);
            adjusted[id] = logit - (uses > 0 ? settings.PresencePenalty : 0) - (uses * settings.FrequencyPenalty);
        }

        int[] order = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => adjusted[id]).ThenBy(id => id)];
        double maximum = adjusted[order[0]];
        double[] weights = new double[logits.Length];
        if (settings.Temperature == 0)
        {
            weights[order[0]] = 1;
            return weights;
        }

        foreach (int id in order)
        {
            weights[id] = Math.Exp((adjusted[id] - maximum) / settings.Temperature);
        }

        if (settings.TopK > 0)
        {
            foreach (int id in order.Skip(settings.TopK))
            {
                weights[id] = 0;
            }
        }

        Normalize(weights);
        if (settings.TopP < 1)
        {
            double mass = 0;
            foreach (int id in order)
            {
                double weight = weights[id];
                weights[id] = mass < settings.TopP ? weight : 0;
                mass += weight;
            }
        }

        double best = weights.Max();
        for (int id = 0; id < weights.Length; id++)
        {
            weights[id] = weights[id] >= settings.MinP * best ? weights[id] : 0;
        }

        Normalize(weights);
        return weights;
    }

    private static void Normalize(double[] weights)
    {
        double sum = weights.Sum();
        for (int id = 0; id < weights.Length; id++)
        {
            weights[id] /= sum;
        }
    }
}
