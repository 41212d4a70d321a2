using System.Reflection;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>A short, repeatable part of what the fuzzer does at length, for every target.</summary>
public sealed class FuzzReplayTests
{
    private const int Inputs = 2000;

    public static TheoryData<string> Targets() => [.. FuzzTargets.All.Select(target => target.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Target_WithMutatedSeeds_LoadsOrRefusesThem(string name)
    {
        FuzzTarget target = FuzzTargets.All.Single(target => target.Name == name);
        Assert.Equal(Inputs, new FuzzEngine(target, seed: 1).Run(Inputs).Inputs);
    }

    [Fact]
    public void Targets_OfThisFolder_AreAllInTheList()
    {
        IEnumerable<string> classes = Assembly.GetExecutingAssembly().GetTypes()
            .Where(type => type.Namespace == typeof(FuzzTargets).Namespace && type != typeof(FuzzTarget))
            .Where(type => type.Name.EndsWith("Target", StringComparison.Ordinal))
            .Select(type => (string)type.GetProperty("Name")!.GetValue(null)!);
        Assert.Equal(classes.Order(StringComparer.Ordinal), FuzzTargets.All.Select(target => target.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Seeds_AreSmallAndNotMany(string name)
    {
        IReadOnlyList<byte[]> seeds = FuzzTargets.All.Single(target => target.Name == name).Seeds();
        Assert.InRange(seeds.Count, 2, 200);
        Assert.All(seeds, seed => Assert.InRange(seed.Length, 0, 8192));
    }

    [Fact]
    public void Mutator_WithTheSameSeed_GivesTheSameInputsAndReachesEverySeed()
    {
        byte[][] seeds = [[1, 2, 3, 4, 5, 6, 7, 8], [100, 101, 102]];
        ByteMutator[] mutators = [new(seeds, 1), new(seeds, 1), new(seeds, 2)];
        string[][] inputs = [.. mutators.Select(mutator => Enumerable.Range(0, 500).Select(_ => Convert.ToHexString(mutator.Next())).ToArray())];
        Assert.Equal(inputs[0], inputs[1]);
        Assert.NotEqual(inputs[0], inputs[2]);
        Assert.True(inputs[0].Distinct().Count() > 400);
        Assert.Contains(inputs[0], input => input.StartsWith("010203", StringComparison.Ordinal));
        Assert.Contains(inputs[0], input => input.StartsWith("646566", StringComparison.Ordinal));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], seeds[0]);
    }

    [Fact]
    public void Engine_AtAWrongException_StopsAndShowsTheInput()
    {
        FuzzTarget target = new("bad", () => [[0xAB, 0xCD]], _ => throw new InvalidOperationException("oh"));
        string message = Assert.Throws<FuzzFindingException>(() => new FuzzEngine(target, seed: 9).Run(10)).Message;
        Assert.StartsWith("target bad, seed 9, input 0 of 2 bytes: InvalidOperationException: oh", message, StringComparison.Ordinal);
        Assert.Contains("hex ABCD", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Engine_AtSlowOrGreedyInput_StopsAndAtARefusalDoesNot()
    {
        FuzzTarget slow = new("slow", () => [[1]], _ => Thread.Sleep(1100));
        FuzzTarget greedy = new("greedy", () => [[1]], _ => GC.KeepAlive(new byte[65 << 20]));
        FuzzTarget refusing = new("refusing", () => [[1]], _ => throw new ModelFormatException("no"));
        Assert.Throws<FuzzFindingException>(() => new FuzzEngine(slow, 1).Run(1));
        Assert.Throws<FuzzFindingException>(() => new FuzzEngine(greedy, 1).Run(1));
        Assert.Equal(10, new FuzzEngine(refusing, 1).Run(10).Inputs);
    }
}
