namespace Vicuna.Managed.Kernels.Memory;

/// <summary>
/// Asks Linux for large pages of anonymous memory (madvise(2), MADV_HUGEPAGE): fewer address translations, which cost most under virtualization.
/// It is a hint: where the kernel has none, or other systems, nothing happens.
/// </summary>
internal static class HugePages
{
    /// <summary>Size of a large page on x86-64, and on Arm with pages of 4 KB.</summary>
    public const int Bytes = 2 << 20;

    // From the kernel's include/uapi/asm-generic/mman-common.h.
    private const int AdviseHugePage = 14;

    /// <summary>Gives the hint for memory that has not been touched yet.</summary>
    /// <param name="start">Address, a multiple of <see cref="Bytes"/>.</param>
    /// <param name="length">Size in bytes.</param>
    public static void Advise(nint start, nuint length) => PageAdvice.Give(start, length, AdviseHugePage);
}
