namespace Vicuna.Managed.Compression.Backprop;

/// <summary>The shape of new adapters.</summary>
/// <param name="Rank">r.</param>
/// <param name="Alpha">Numerator of the scale alpha / r.</param>
/// <param name="Dropout">Share of the adapters' input that training drops, 0 to below 1.</param>
/// <param name="TargetModules">Names of the projections, without their path.</param>
/// <param name="Seed">Chooses A.</param>
internal sealed record LoraModelOptions(int Rank, double Alpha, double Dropout, IReadOnlyList<string> TargetModules, long Seed);
