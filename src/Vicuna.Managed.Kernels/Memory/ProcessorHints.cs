using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>Hints to the processor. They change no result.</summary>
internal static unsafe class ProcessorHints
{
    /// <summary>Says that the thread waits for another: a few dozen cycles pass.</summary>
    /// <remarks>
    /// Not <see cref="Thread.SpinWait"/>, whose iterations the runtime scales by a measurement at start-up: on a busy machine that came out so long that
    /// waiting threads noticed work after it was done.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Pause()
    {
        if (X86Base.IsSupported)
        {
            X86Base.Pause();
        }
        else
        {
            Thread.SpinWait(1);
        }
    }

    /// <summary>Asks for the cache line that a place lies in, which need not be there.</summary>
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
