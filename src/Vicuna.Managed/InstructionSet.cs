namespace Vicuna.Managed;

/// <summary>Vector instructions that the kernels use. Results differ in their last bits between sets, not within one.</summary>
public enum InstructionSet
{
    /// <summary>The best that the CPU and the runtime offer.</summary>
    Best,

    /// <summary>None: the reference implementation. Slow; for comparison.</summary>
    Scalar,

    /// <summary>AVX2 and FMA, 256-bit.</summary>
    Avx2,

    /// <summary>AVX-512 F, BW, DQ and VL, 512-bit.</summary>
    Avx512,
}
