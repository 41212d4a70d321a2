using Vicuna.Managed.Compression;

namespace PruneAndHealSample;

/// <summary>A cut by one criterion.</summary>
internal sealed record Result(ScoreCriterion Criterion, IReadOnlyList<int> Removed, Examined Cut, Examined Healed);
