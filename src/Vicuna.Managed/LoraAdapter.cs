using Vicuna.Managed.Models;

namespace Vicuna.Managed;

/// <summary>
/// A LoRA adapter (Hu et al. 2021): a small change of a model's projections, added while the model runs, so that one model in memory serves any number of
/// adapters, in one batch too. Made by <see cref="LanguageModel.LoadAdapter"/>, used through <see cref="GenerationOptions.Adapters"/> and
/// <see cref="Generator.Adapters"/>. Immutable and safe for concurrent use; its memory is freed when nobody holds it any more.
/// </summary>
public sealed class LoraAdapter
{
    private readonly AdapterWeights _weights;
    private readonly Decoder _decoder;

    internal LoraAdapter(AdapterWeights weights, Decoder decoder, string path, float weight)
    {
        _weights = weights;
        _decoder = decoder;
        Path = path;
        Weight = weight;
    }

    /// <summary>The folder that it was loaded from.</summary>
    public string Path { get; }

    /// <summary>The model that it was made for, as its maker called it; may be empty.</summary>
    public required string BaseModel { get; init; }

    /// <summary>Rank of the change.</summary>
    public required int Rank { get; init; }

    /// <summary>The adapter's own factor of the change, dimensionless: alpha / rank, or alpha / √rank.</summary>
    public required float Scale { get; init; }

    /// <summary>Elements of its factors.</summary>
    public required long ParameterCount { get; init; }

    /// <summary>What its user multiplies the change by, dimensionless: 1 = as it was trained, 0 = not at all, negative = the opposite.</summary>
    public float Weight { get; }

    /// <summary>The same adapter with another <see cref="Weight"/>; the memory is shared.</summary>
    /// <param name="weight">The weight, dimensionless. 0 computes bit for bit what the model computes alone.</param>
    /// <returns>The adapter.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The weight is not finite, or its product with <see cref="Scale"/> is not.</exception>
    public LoraAdapter WithWeight(float weight) => new(_weights, _decoder, Path, CheckWeight(weight, Scale))
    {
        BaseModel = BaseModel,
        Rank = Rank,
        Scale = Scale,
        ParameterCount = ParameterCount,
    };

    /// <summary>Checks a weight.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not finite, or its product with the scale is not.</exception>
    internal static float CheckWeight(float weight, float scale) => float.IsFinite(weight * scale) && float.IsFinite(weight)
        ? weight
        : throw new ArgumentOutOfRangeException(nameof(weight), FormattableString.Invariant($"weight: expected a finite number, found {weight}."));

    /// <summary>What sequences with these adapters add to the products of a pass; null for nothing.</summary>
    /// <param name="adapters">The adapters.</param>
    /// <param name="decoder">The model that runs.</param>
    /// <param name="parameter">The caller's parameter, for the exception.</param>
    /// <exception cref="ArgumentException">An adapter is null, or was loaded for another model.</exception>
    internal static AdapterStack? Stack(IReadOnlyList<LoraAdapter> adapters, Decoder decoder, string parameter)
    {
        List<AdapterEntry> entries = [];
        foreach (LoraAdapter adapter in adapters)
        {
            if (adapter is null || adapter._decoder != decoder)
            {
                string found = adapter is null ? "null" : $"one that another model has loaded, {adapter.Path}";
                throw new ArgumentException($"Adapters: expected adapters that this model has loaded, found {found}.", parameter);
            }

            if (adapter.Scale * adapter.Weight is not 0 and float scale)
            {
                entries.Add(new AdapterEntry(adapter._weights, scale));
            }
        }

        return entries.Count > 0 ? new AdapterStack([.. entries]) : null;
    }
}
