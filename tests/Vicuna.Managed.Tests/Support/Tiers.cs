using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Tests.Support;

/// <summary>The instruction sets that this machine can run, slowest first. The knob tests prove that a missing one is really missing.</summary>
public static class Tiers
{
    public static IReadOnlyList<InstructionSet> Supported { get; } = [.. IsaTiers.Supported.Select(tier => Enum.Parse<InstructionSet>(tier.ToString()))];

    public static TheoryData<InstructionSet> All() => [.. Supported];
}
