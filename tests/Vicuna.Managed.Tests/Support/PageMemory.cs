using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Whole pages from the operating system, inaccessible until they are opened one range at a time.</summary>
internal static partial class PageMemory
{
    // Linux and macOS agree on these; MAP_ANONYMOUS is 0x20 on Linux and 0x1000 on macOS.
    private const int ProtectionNone = 0;
    private const int ProtectionReadWrite = 3;
    private const int MapPrivate = 2;

    private const uint ReserveAndCommit = 0x3000;
    private const uint Release = 0x8000;
    private const uint PageNoAccess = 1;
    private const uint PageReadWrite = 4;

    public static nint Reserve(nuint bytes)
    {
        nint address = OperatingSystem.IsWindows()
            ? VirtualAlloc(0, bytes, ReserveAndCommit, PageNoAccess)
            : Map(0, bytes, ProtectionNone, MapPrivate | (OperatingSystem.IsMacOS() ? 0x1000 : 0x20), -1, 0);
        return address is 0 or -1 ? throw new Win32Exception() : address;
    }

    public static void Open(nint address, nuint bytes)
    {
        bool opened = OperatingSystem.IsWindows()
            ? VirtualProtect(address, bytes, PageReadWrite, out _) != 0
            : Protect(address, bytes, ProtectionReadWrite) == 0;
        if (!opened)
        {
            throw new Win32Exception();
        }
    }

    public static void Free(nint address, nuint bytes)
    {
        bool freed = OperatingSystem.IsWindows() ? VirtualFree(address, 0, Release) != 0 : Unmap(address, bytes) == 0;
        if (!freed)
        {
            throw new Win32Exception();
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint bytes);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint VirtualAlloc(nint address, nuint bytes, uint type, uint protection);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial int VirtualProtect(nint address, nuint bytes, uint protection, out uint before);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial int VirtualFree(nint address, nuint bytes, uint type);
}
