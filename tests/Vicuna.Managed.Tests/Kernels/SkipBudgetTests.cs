using System.Collections;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The kernel tests run over the supported tiers; a CPU that has a tier must not lose it unnoticed.</summary>
public sealed class SkipBudgetTests
{
    [Theory]
    [InlineData("avx2", "avx2 fma")]
    [InlineData("avx512", "avx512f avx512bw avx512dq avx512vl")]
    public void Supported_WhereTheCpuHasTheInstructions_ContainsTheTier(string tier, string instructions)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/proc/cpuinfo exists on Linux only.");
        IEnumerable<string> names = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(pair => (string)pair.Key);
        string[] knobs = [.. names.Where(name => name.StartsWith("DOTNET_Enable", StringComparison.Ordinal))];
        Assert.SkipUnless(knobs.Length == 0, $"{string.Join(", ", knobs)} may have taken the tier away on purpose.");
        string? flags = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal));
        Assert.SkipUnless(flags is not null && instructions.Split(' ').All(flags.Split(' ').Contains), $"This CPU lacks {instructions}.");
        Assert.Contains(tier, IsaTiers.Supported.Select(IsaTiers.NameOf));
    }
}
