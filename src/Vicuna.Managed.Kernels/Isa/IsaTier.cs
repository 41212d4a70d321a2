namespace Vicuna.Managed.Kernels.Isa;

/// <summary>The instruction-set tiers as values; <see cref="IsaTiers"/> ties them to their types.</summary>
internal enum IsaTier
{
    /// <summary><see cref="Isa.Scalar"/>.</summary>
    Scalar,

    /// <summary><see cref="Isa.Avx2"/>.</summary>
    Avx2,

    /// <summary><see cref="Isa.Avx512"/>.</summary>
    Avx512,
}
