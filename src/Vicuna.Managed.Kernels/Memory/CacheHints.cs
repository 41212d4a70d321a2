using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>Hints to the processor's caches. They change no result, and may name memory that is not there.</summary>
internal static unsafe class CacheHints
{
    /// <summary>Asks for the cache line that a place lies in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch<T>(ref readonly T place)
        where T : unmanaged
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.AsRef(in place)));
        }
    }
}
