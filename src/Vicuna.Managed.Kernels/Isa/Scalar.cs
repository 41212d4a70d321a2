namespace Vicuna.Managed.Kernels.Isa;

/// <summary>No vector instructions: the specification that every other tier is compared with. Runs everywhere.</summary>
internal readonly struct Scalar : IIsa
{
    /// <inheritdoc/>
    public static string Name => "scalar";

    /// <inheritdoc/>
    public static bool IsSupported => true;
}
