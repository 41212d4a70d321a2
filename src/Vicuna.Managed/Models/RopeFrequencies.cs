namespace Vicuna.Managed.Models;

/// <summary>The angular frequencies of rotary embedding, after stretching.</summary>
internal static class RopeFrequencies
{
    /// <summary>Computes the frequencies.</summary>
    /// <param name="config">The model's shape: θ, head dimension and scaling.</param>
    /// <param name="factors">Divisors of the frequencies, <c>[dh/2]</c> (GGUF's <c>rope_freqs.weight</c>), or null.</param>
    /// <returns>Radians per position, f64 <c>[dh/2]</c>: θ^(-2i/dh), stretched.</returns>
    /// <remarks>Llama 3's rule: Hugging Face, modeling_rope_utils.py, <c>_compute_llama3_parameters</c>.</remarks>
    public static double[] Compute(ModelConfig config, ReadOnlySpan<float> factors = default)
    {
        double[] frequencies = new double[config.HeadDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            double frequency = Math.Pow(config.RopeTheta, -2.0 * i / config.HeadDim);
            frequency = Stretch(frequency, config.RopeScaling);
            frequencies[i] = factors.IsEmpty ? frequency : frequency / factors[i];
        }

        return frequencies;
    }

    private static double Stretch(double frequency, RopeScaling? scaling)
    {
        if (scaling is null)
        {
            return frequency;
        }

        double stretched = frequency / scaling.Factor;
        if (scaling.Kind == RopeScalingKind.Linear)
        {
            return stretched;
        }

        double wavesInContext = scaling.OriginalMaxPositionEmbeddings * frequency / (2 * Math.PI);
        if (wavesInContext <= scaling.LowFreqFactor)
        {
            return stretched;
        }

        if (wavesInContext >= scaling.HighFreqFactor)
        {
            return frequency;
        }

        double keep = (wavesInContext - scaling.LowFreqFactor) / (scaling.HighFreqFactor - scaling.LowFreqFactor);
        return ((1 - keep) * stretched) + (keep * frequency);
    }
}
