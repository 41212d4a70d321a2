namespace Vicuna.Managed.Compression;

/// <summary>How a shortened model is healed: LoRA (Hu et al. 2021), its sizes, and how it is trained. The defaults are those of "Shortened LLaMA".</summary>
public sealed record HealOptions : TrainingOptions
{
    /// <summary>The projections that an adapter can change.</summary>
    private static readonly string[] Projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>r, rank of the update of every projection, 1 or more.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Numerator of the update's scale alpha / r, dimensionless, above 0.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Share of the adapters' input that is dropped in training, dimensionless, 0 to below 1.</summary>
    public double Dropout { get; init; } = 0.05;

    /// <summary>Names of the projections that are changed in every block: any of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; default all.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = Projections;

    /// <inheritdoc/>
    internal override void Check()
    {
        base.Check();
        Require(Rank is >= 1 and <= 65_536, nameof(Rank), Rank, "1 to 65,536");
        Require(Alpha > 0 && double.IsFinite(Alpha), nameof(Alpha), Alpha, "a number above 0");
        Require(Dropout is >= 0 and < 1, nameof(Dropout), Dropout, "0 to below 1");
        string targets = string.Join(", ", TargetModules ?? []);
        Require(
            TargetModules is { Count: > 0 } && TargetModules.All(Projections.Contains) && TargetModules.Distinct().Count() == TargetModules.Count,
            nameof(TargetModules), targets, $"one or more of {string.Join(", ", Projections)}, each once");
    }

    /// <inheritdoc/>
    internal override SortedDictionary<string, string> Settings()
    {
        SortedDictionary<string, string> settings = base.Settings();
        settings["rank"] = Text(Rank);
        settings["alpha"] = Text(Alpha);
        settings["dropout"] = Text(Dropout);
        settings["target modules"] = string.Join(", ", TargetModules.Order(StringComparer.Ordinal));
        return settings;
    }
}
