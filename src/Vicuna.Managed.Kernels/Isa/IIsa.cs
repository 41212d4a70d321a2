namespace Vicuna.Managed.Kernels.Isa;

/// <summary>
/// One instruction-set tier: an empty struct that is used only as a type argument. The JIT compiles each closed generic on its own, so
/// <c>typeof(TIsa) == typeof(Avx512)</c> is a constant inside a kernel, and one process can run (and test) every tier.
/// </summary>
internal interface IIsa
{
    /// <summary>The tier's name in options, tests and benchmark rows.</summary>
    static abstract string Name { get; }

    /// <summary>Whether this process can run the tier.</summary>
    static abstract bool IsSupported { get; }
}
