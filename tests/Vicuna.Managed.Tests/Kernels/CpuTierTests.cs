using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class CpuTierTests
{
    private const int Haswell1 = 0x7ffafbff;
    private const int Haswell7 = 0x000027ab;
    private const int SkylakeServer7 = unchecked((int)0xd39ffffb);

    [Theory]
    [InlineData(Haswell1, Haswell7, "avx2")]
    [InlineData(Haswell1, SkylakeServer7, "avx512")]
    [InlineData(Haswell1 & ~(1 << 12), SkylakeServer7, "scalar")] // no FMA
    [InlineData(Haswell1 & ~(1 << 27), SkylakeServer7, "scalar")] // an operating system that saves no vectors
    [InlineData(Haswell1 & ~(1 << 28), SkylakeServer7, "scalar")] // no AVX
    [InlineData(Haswell1, SkylakeServer7 & ~(1 << 30), "avx2")] // no BW
    [InlineData(Haswell1, SkylakeServer7 & ~(1 << 31), "avx2")] // no VL
    [InlineData(Haswell1, 0, "scalar")]
    [InlineData(0, 0, "scalar")]
    public void FromCpuId_OfKnownCpus_IsTheirTier(int leaf1, int leaf7, string tier) => Assert.Equal(tier, IsaTiers.NameOf(CpuTier.FromCpuId(leaf1, leaf7)));

    [Fact]
    public void OfThisCpu_IsAtLeastWhatTheRuntimeUses() => Assert.True(CpuTier.OfThisCpu >= IsaTiers.Best);

    [Fact]
    public void Notice_OfAProcessThatUsesEverything_IsNone()
    {
        Assert.Null(CpuTier.Notice(IsaTier.Avx512, IsaTier.Avx512, true));
        Assert.Null(CpuTier.Notice(IsaTier.Avx512, IsaTier.Avx2, true));
        Assert.Null(CpuTier.Notice(IsaTier.Scalar, IsaTier.Scalar, false));
    }

    [Fact]
    public void Notice_OfALesserProcess_SaysWhatToDo()
    {
        string ahead = CpuTier.Notice(IsaTier.Scalar, IsaTier.Avx512, true)!;
        Assert.Contains("<IlcInstructionSet>x86-64-v4</IlcInstructionSet>", ahead, StringComparison.Ordinal);
        Assert.Contains("<IlcInstructionSet>x86-64-v3</IlcInstructionSet>", CpuTier.Notice(IsaTier.Scalar, IsaTier.Avx2, true)!, StringComparison.Ordinal);
        Assert.Contains("DOTNET_Enable", CpuTier.Notice(IsaTier.Avx2, IsaTier.Avx512, false)!, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', ahead);
    }
}
