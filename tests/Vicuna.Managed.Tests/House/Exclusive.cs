namespace Vicuna.Managed.Tests.House;

/// <summary>Tests that look at numbers of the whole process: no other test runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Exclusive
{
    public const string Name = "Exclusive";
}
