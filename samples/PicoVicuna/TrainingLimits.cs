namespace PicoVicunaSample;

/// <summary>When training ends before all samples were seen.</summary>
/// <param name="Steps">Most optimizer steps; null for no limit.</param>
/// <param name="Time">Most time; null for no limit. What comes of it depends on the machine's speed then.</param>
internal sealed record TrainingLimits(int? Steps, TimeSpan? Time);
