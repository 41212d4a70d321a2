using System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Isa;

/// <summary>
/// What the CPU itself has, whatever this process was compiled for. A program compiled ahead of time has only the instructions that it was
/// compiled with, by default fewer than any CPU of the last ten years.
/// </summary>
internal static class CpuTier
{
    // Intel's manual, volume 2A, CPUID: leaf 1 register ECX, leaf 7 register EBX.
    private const int Fma = 1 << 12;
    private const int OsSavesVectors = 1 << 27;
    private const int Avx = 1 << 28;
    private const int Avx2Bit = 1 << 5;
    private const int Avx512 = (1 << 16) | (1 << 17) | (1 << 30) | (1 << 31); // F, DQ, BW, VL

    /// <summary>
    /// The best tier of this CPU. Whether the operating system saves 512-bit registers cannot be asked from managed code (XGETBV); one that
    /// saves 256 bits and not 512 is taken for one that does.
    /// </summary>
    public static IsaTier OfThisCpu { get; } = X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7
        ? FromCpuId(X86Base.CpuId(1, 0).Ecx, X86Base.CpuId(7, 0).Ebx)
        : IsaTier.Scalar;

    /// <summary>The best tier by the CPU's own words.</summary>
    /// <param name="leaf1Ecx">Register ECX of CPUID leaf 1.</param>
    /// <param name="leaf7Ebx">Register EBX of CPUID leaf 7, subleaf 0.</param>
    public static IsaTier FromCpuId(int leaf1Ecx, int leaf7Ebx)
    {
        const int needed1 = Fma | OsSavesVectors | Avx;
        bool hasAvx2 = (leaf1Ecx & needed1) == needed1 && (leaf7Ebx & Avx2Bit) != 0;
        return !hasAvx2 ? IsaTier.Scalar : (leaf7Ebx & Avx512) == Avx512 ? IsaTier.Avx512 : IsaTier.Avx2;
    }

    /// <summary>What to tell someone whose process cannot use what the CPU has.</summary>
    /// <param name="used">The best tier of the process.</param>
    /// <param name="cpu">The best tier of the CPU.</param>
    /// <param name="isCompiledAheadOfTime">Whether the program is native code without a JIT compiler.</param>
    /// <returns>One line, or null where there is nothing to tell.</returns>
    public static string? Notice(IsaTier used, IsaTier cpu, bool isCompiledAheadOfTime)
    {
        if (used >= cpu)
        {
            return null;
        }

        string level = cpu == IsaTier.Avx512 ? "x86-64-v4" : "x86-64-v3";
        string remedy = isCompiledAheadOfTime
            ? "this program was compiled ahead of time for lesser CPUs; "
                + $"publish it with <IlcInstructionSet>{level}</IlcInstructionSet> (it then needs such a CPU)"
            : "the runtime does not offer it; look for DOTNET_Enable... settings, or the operating system does not enable it";
        return $"Computing with '{IsaTiers.NameOf(used)}' on a CPU that has '{IsaTiers.NameOf(cpu)}', which is several times as fast: {remedy}.";
    }
}
