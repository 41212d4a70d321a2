using X86 = System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Isa;

/// <summary>
/// 512-bit vectors with AVX-512 F, BW, DQ and VL (x86-64-v4). <c>Vector512.IsHardwareAccelerated</c> is not asked: the runtime says no on CPUs
/// that lower their clock for 512-bit work, where these kernels, bound by memory, still gain.
/// </summary>
internal readonly struct Avx512 : IIsa
{
    /// <inheritdoc/>
    public static string Name => "avx512";

    /// <inheritdoc/>
    public static bool IsSupported =>
        Avx2.IsSupported && X86.Avx512F.IsSupported && X86.Avx512BW.IsSupported && X86.Avx512DQ.IsSupported && X86.Avx512F.VL.IsSupported;
}
