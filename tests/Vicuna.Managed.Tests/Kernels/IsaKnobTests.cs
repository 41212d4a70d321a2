using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The runtime's own switches take instructions away: a renamed or ignored switch must fail here, not pass silently.</summary>
public sealed class IsaKnobTests
{
    [Fact]
    public void Child_WithoutKnobs_ComputesTheSameBits() => Assert.Equal(ChildModes.TierLines(), Run("VICUNA_NO_KNOB"));

    [Theory]
    [InlineData("DOTNET_EnableAVX512", "avx512", "scalar avx2")]
    [InlineData("DOTNET_EnableAVX2", "avx2", "scalar")]
    [InlineData("DOTNET_EnableHWIntrinsic", "avx2", "scalar")]
    [InlineData("DOTNET_EnableHWIntrinsic", "avx512", "scalar")]
    public void Child_WithKnob_LacksTheTierAndComputesTheSameBitsInTheOthers(string knob, string tier, string left)
    {
        Assert.SkipUnless(KernelCases.Tiers.Contains(tier), $"This process has no {tier} that {knob}=0 could take away.");
        string[] lines = Run(knob);
        Assert.Equal(left.Split(' '), lines.Select(line => line.Split(' ')[0]));
        Assert.Equal(ChildModes.TierLines().Take(lines.Length), lines);
    }

    private static string[] Run(string knob)
    {
        ChildResult child = ChildProcess.Run(ChildModes.Tiers, (knob, "0"));
        Assert.True(child.ExitCode == 0, child.Error);
        return child.Lines;
    }
}
