namespace Vicuna.Managed.Models;

/// <summary>The <c>rope_scaling</c> entry of config.json.</summary>
public sealed record RopeScaling
{
    /// <summary>The method (<c>rope_type</c>).</summary>
    public required RopeScalingKind Kind { get; init; }

    /// <summary>How many times longer the context becomes, dimensionless (<c>factor</c>).</summary>
    public required double Factor { get; init; }

    /// <summary>Llama 3: wavelengths above original context / this are stretched fully, dimensionless (<c>low_freq_factor</c>).</summary>
    public double LowFreqFactor { get; init; } = 1;

    /// <summary>Llama 3: wavelengths below original context / this are kept, dimensionless (<c>high_freq_factor</c>).</summary>
    public double HighFreqFactor { get; init; } = 4;

    /// <summary>Llama 3: context that the model was trained on first, in positions (<c>original_max_position_embeddings</c>).</summary>
    public int OriginalMaxPositionEmbeddings { get; init; } = 8192;
}
