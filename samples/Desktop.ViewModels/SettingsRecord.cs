using Vicuna.Managed;

namespace DesktopSample.ViewModels;

/// <summary>The settings as they are stored; null stands for the model's own.</summary>
internal sealed record SettingsRecord
{
    public double? Temperature { get; init; }

    public double? TopP { get; init; }

    public int? MaxNewTokens { get; init; }

    public long? Seed { get; init; }

    public string SystemText { get; init; } = string.Empty;

    public Quantization Quantization { get; init; }
}
