namespace Vicuna.Managed.Tests.Support;

/// <summary>Tests that count what belongs to the whole process: they run one after another, when no others do.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;
