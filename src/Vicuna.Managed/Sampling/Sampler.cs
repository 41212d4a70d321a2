using System.Numerics;
using System.Numerics.Tensors;

namespace Vicuna.Managed.Sampling;

/// <summary>
/// Chooses a token from logits: bias, penalties, temperature, top-k, top-p, min-p, draw, in the order of Hugging Face's generate().
/// Repetition penalty (Keskar et al. 2019) looks at prompt and answer, presence and frequency penalties (OpenAI's API) at the answer alone.
/// Equal logits: the lower id first. Buffers are kept, so that a token allocates nothing. Not safe for concurrent use.
/// </summary>
/// <param name="vocabSize">V, number of token ids.</param>
internal sealed class Sampler(int vocabSize)
{
    private const double NegligibleShare = 1e-4;

    private readonly float[] _logits = new float[vocabSize];
    private readonly float[] _keys = new float[vocabSize];
    private readonly int[] _ids = new int[vocabSize];

    /// <summary>Chooses the next token.</summary>
    /// <param name="logits">f32 <c>[V]</c>.</param>
    /// <param name="settings">The parameters.</param>
    /// <param name="counts">What has occurred so far.</param>
    /// <param name="position">Position that the token will have: selects the random number.</param>
    /// <param name="allowed">Tokens that may be chosen, as bits <c>[V / 64]</c>; empty for all. It comes before everything that filters candidates.</param>
    /// <returns>A token id, 0 to V - 1.</returns>
    /// <exception cref="NonFiniteLogitsException">A logit is NaN or +∞, or all are -∞.</exception>
    public int Sample(ReadOnlySpan<float> logits, SamplingSettings settings, TokenCounts counts, int position, ReadOnlySpan<ulong> allowed = default)
    {
        Span<float> adjusted = _logits.AsSpan(0, logits.Length);
        // Adding 0 makes -0 a 0, so that the two are equal to the search for the maximum as they are to the sort.
        TensorPrimitives.Add(logits, 0f, adjusted);
        Adjust(adjusted, settings, counts);
        Ban(adjusted, allowed);
        int best = Best(adjusted, logits);
        if (settings.Temperature == 0 || settings.TopK == 1)
        {
            return best;
        }

        float maximum = adjusted[best];
        int candidates = Collect(adjusted, maximum, settings);
        return Draw(maximum, candidates, settings, CounterRandom.NextDouble(settings.Seed, position));
    }

    // A word of the mask at a time: most are all zeros or all ones.
    private static void Ban(Span<float> logits, ReadOnlySpan<ulong> allowed)
    {
        for (int word = 0; word < allowed.Length; word++)
        {
            Span<float> part = logits[(word * 64)..Math.Min(logits.Length, (word * 64) + 64)];
            if (allowed[word] == 0)
            {
                part.Fill(float.NegativeInfinity);
                continue;
            }

            for (ulong banned = ~allowed[word]; banned != 0; banned &= banned - 1)
            {
                int token = BitOperations.TrailingZeroCount(banned);
                if (token < part.Length)
                {
                    part[token] = float.NegativeInfinity;
                }
            }
        }
    }

    private static void Adjust(Span<float> logits, SamplingSettings settings, TokenCounts counts)
    {
        for (int i = 0; i < settings.LogitBias.Count; i++)
        {
            (int token, float bias) = settings.LogitBias[i];
            logits[token] += bias;
        }

        if (settings.RepetitionPenalty == 1 && settings.PresencePenalty == 0 && settings.FrequencyPenalty == 0)
        {
            return;
        }

        for (int i = 0; i < counts.Seen.Count; i++)
        {
            int token = counts.Seen[i];
            double logit = logits[token];
            if (counts.All(token) > 0)
            {
                logit = logit > 0 ? logit / settings.RepetitionPenalty : logit * settings.RepetitionPenalty;
            }

            int generated = counts.Generated(token);
            logit -= (generated > 0 ? settings.PresencePenalty : 0) + (generated * settings.FrequencyPenalty);
            logits[token] = (float)logit;
        }
    }

    // The largest logit's first index. NaN compares with nothing, so it is looked for.
    private static int Best(ReadOnlySpan<float> adjusted, ReadOnlySpan<float> logits)
    {
        int best = TensorPrimitives.IndexOfMax(adjusted);
        float maximum = best < 0 ? float.NaN : adjusted[best];
        if (float.IsFinite(maximum))
        {
            return best;
        }

        throw float.IsNegativeInfinity(maximum) && float.IsFinite(TensorPrimitives.Max(logits))
            ? new NonFiniteLogitsException("Every token is banned, by biases or by biases and a constraint: none is left to be chosen.") { IsEveryTokenBanned = true }
            : new NonFiniteLogitsException($"The logits hold {maximum} at token {best}: the weights or the input are damaged.");
    }

    // Candidates: -logit in _keys and the id in _ids; the likeliest first where top-k or top-p are on, in order of id elsewhere.
    private int Collect(ReadOnlySpan<float> logits, float maximum, SamplingSettings settings)
    {
        double threshold = maximum + (Math.Log(LeastWeight(settings, logits.Length)) * settings.Temperature);
        int count = 0;
        for (int id = 0; id < logits.Length; id++)
        {
            if (logits[id] >= threshold && logits[id] != float.NegativeInfinity)
            {
                _keys[count] = -logits[id];
                _ids[count++] = id;
            }
        }

        if (settings.TopK > 0 || settings.TopP < 1)
        {
            SortAscending(count);
        }

        return settings.TopK > 0 ? Math.Min(settings.TopK, count) : count;
    }

    // Weight, relative to the best token's, below which a token is left out from the start; 0 = none is. It keeps the sort short.
    private static double LeastWeight(SamplingSettings settings, int vocabSize)
    {
        if (settings.TopP == 1)
        {
            // Nothing depends on the sum of what min-p drops. It is applied later with the exact bound; here a hair below it.
            return settings.MinP * 0.999;
        }

        // All tokens below a ten-thousandth of (1 - top-p) / V together weigh too little to move the border of the nucleus. Min-p cannot be
        // used here: what it drops counts for top-p, which comes before it. With top-k as well, top-k alone says what counts.
        return settings.TopK > 0 ? 0 : NegligibleShare * (1 - settings.TopP) / vocabSize;
    }

    private int Draw(float maximum, int candidates, SamplingSettings settings, double random)
    {
        double total = 0;
        for (int i = 0; i < candidates; i++)
        {
            // _keys holds -logit before, and the weight e^((logit - maximum) / temperature) after.
            _keys[i] = (float)Math.Exp((-_keys[i] - (double)maximum) / settings.Temperature);
            total += _keys[i];
        }

        if (settings.TopP < 1)
        {
            double wanted = settings.TopP * total;
            double mass = 0;
            int kept = 0;
            while (kept < candidates && (kept == 0 || mass < wanted))
            {
                mass += _keys[kept++];
            }

            (candidates, total) = (kept, mass);
        }

        if (settings.MinP > 0)
        {
            total = 0;
            int kept = 0;
            for (int i = 0; i < candidates; i++)
            {
                // The best candidate's weight is 1.
                if (_keys[i] >= settings.MinP)
                {
                    (_keys[kept], _ids[kept]) = (_keys[i], _ids[i]);
                    total += _keys[kept++];
                }
            }

            candidates = kept;
        }

        double target = random * total;
        for (int i = 0; i < candidates; i++)
        {
            target -= _keys[i];
            if (target < 0)
            {
                return _ids[i];
            }
        }

        // Rounding can leave a remainder: the last candidate with any weight takes it.
        int last = candidates - 1;
        while (last > 0 && _keys[last] == 0)
        {
            last--;
        }

        return _ids[last];
    }

    private void SortAscending(int count)
    {
        // Array.Sort is not stable: runs of equal keys are put in order of id afterwards, so that ties do not depend on the sort's inner workings.
        Array.Sort(_keys, _ids, 0, count);
        for (int start = 0; start < count;)
        {
            int end = start + 1;
            while (end < count && _keys[end] == _keys[start])
            {
                end++;
            }

            if (end - start > 1)
            {
                Array.Sort(_ids, start, end - start);
            }

            start = end;
        }
    }
}
