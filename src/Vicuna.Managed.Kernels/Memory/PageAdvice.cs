using System.Runtime.InteropServices;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>
/// Tells Linux that mapped pages will not be read again soon (madvise(2), MADV_DONTNEED): they leave the process's resident memory and stay in
/// the system's cache as long as it has room. Whoever reads them again finds the file's bytes. A hint, of no effect elsewhere.
/// </summary>
internal static partial class PageAdvice
{
    // From the kernel's include/uapi/asm-generic/mman-common.h.
    private const int DontNeed = 4;

    /// <summary>Gives the hint for the whole pages of a range of a read-only file mapping.</summary>
    /// <param name="start">Address.</param>
    /// <param name="length">Size in bytes.</param>
    public static void Forget(nint start, long length)
    {
        nint page = Environment.SystemPageSize;
        nint first = (start + page - 1) / page * page;
        nint end = (nint)(start + length) / page * page;
        if (end > first)
        {
            Give(first, (nuint)(end - first), DontNeed);
        }
    }

    /// <summary>Gives a piece of advice on Linux; elsewhere nothing happens.</summary>
    /// <param name="start">Address, a multiple of the page size.</param>
    /// <param name="length">Size in bytes.</param>
    /// <param name="advice">One of madvise's numbers.</param>
    public static void Give(nint start, nuint length, int advice)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            // The result is not looked at: a kernel that refuses the advice leaves the memory as good as before.
            _ = Advise(start, length, advice);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            // A C library under another name: no hint.
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nuint length, int advice);
}
