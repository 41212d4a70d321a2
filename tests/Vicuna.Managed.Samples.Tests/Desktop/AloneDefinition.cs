namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>What is measured by the thread's processor time runs when no other test does.</summary>
[CollectionDefinition(ResponsivenessTests.Alone, DisableParallelization = true)]
public sealed class AloneDefinition;
