using System.Runtime.Intrinsics;
using X86 = System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Isa;

/// <summary>256-bit vectors with AVX2 and FMA (x86-64-v3).</summary>
internal readonly struct Avx2 : IIsa
{
    /// <inheritdoc/>
    public static string Name => "avx2";

    /// <inheritdoc/>
    public static bool IsSupported => X86.Avx2.IsSupported && X86.Fma.IsSupported && Vector256.IsHardwareAccelerated;
}
