namespace Vicuna.Managed.Adapters;

/// <summary>What <c>adapter_config.json</c> says of a LoRA adapter (Hu et al. 2021; the keys are those of Hugging Face's PEFT).</summary>
internal sealed record PeftConfig
{
    /// <summary>r, rows of A and columns of B (<c>r</c>).</summary>
    public required int Rank { get; init; }

    /// <summary>Numerator of the scale, dimensionless (<c>lora_alpha</c>).</summary>
    public required double Alpha { get; init; }

    /// <summary>Share of the adapter's input that training drops, 0 to 1 (<c>lora_dropout</c>).</summary>
    public double Dropout { get; init; }

    /// <summary>Whether the scale is alpha / √r instead of alpha / r (<c>use_rslora</c>).</summary>
    public bool UseRslora { get; init; }

    /// <summary>Names of the projections, without their path (<c>target_modules</c>): <c>q_proj</c>, <c>down_proj</c>.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>The model that the adapter was made for, as its maker called it; may be empty (<c>base_model_name_or_path</c>).</summary>
    public string BaseModel { get; init; } = "";

    /// <summary>Factor of B·A, dimensionless.</summary>
    public float Scale => (float)(UseRslora ? Alpha / Math.Sqrt(Rank) : Alpha / Rank);
}
