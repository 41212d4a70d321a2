using System.Runtime.InteropServices;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>
/// Native memory, zeroed and aligned to 64 bytes (one cache line, one 512-bit vector), freed deterministically. A large buffer takes physical
/// memory page by page as it is first written: one that is never filled costs next to nothing.
/// </summary>
internal sealed unsafe class AlignedBuffer : MemoryBlock
{
    /// <summary>Alignment of the first byte.</summary>
    public const int Alignment = 64;

    private static long s_allocated;
    private readonly nint _memory;

    private AlignedBuffer(byte* memory, byte* start, long length)
        : base(start, length)
    {
        _memory = (nint)memory;
        Interlocked.Add(ref s_allocated, length);
        GC.AddMemoryPressure(Math.Max(1, length));
    }

    /// <summary>Frees the memory of a buffer that nobody disposed.</summary>
    ~AlignedBuffer() => Dispose();

    /// <summary>Bytes that live buffers of this process hold: what memory estimates are checked against.</summary>
    public static long AllocatedBytes => Interlocked.Read(ref s_allocated);

    /// <summary>Allocates <paramref name="length"/> zeroed bytes.</summary>
    /// <param name="length">Size in bytes.</param>
    /// <param name="hugePages">Whether the system is asked for large pages; see <see cref="HugePages"/>. Of no effect on buffers smaller than one.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative.</exception>
    /// <exception cref="OutOfMemoryException">The system has no such memory.</exception>
    public static AlignedBuffer Allocate(long length, bool hugePages = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        // calloc knows which memory comes zeroed from the system and does not touch it; the aligned allocator has no such form.
        bool isHuge = hugePages && length >= HugePages.Bytes;
        nint alignment = isHuge ? HugePages.Bytes : Alignment;
        byte* memory = (byte*)NativeMemory.AllocZeroed(checked((nuint)length + (nuint)alignment));
        byte* start = (byte*)(((nint)memory + alignment - 1) & -alignment);
        if (isHuge)
        {
            HugePages.Advise((nint)start, (nuint)length);
        }

        return new AlignedBuffer(memory, start, length);
    }

    /// <summary>Allocates <paramref name="count"/> zeroed f32 values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    /// <exception cref="OutOfMemoryException">The system has no such memory.</exception>
    public static AlignedBuffer AllocateFloats(long count) => Allocate(checked(count * sizeof(float)));

    /// <summary>A writable view of <paramref name="length"/> bytes from <paramref name="offset"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the buffer.</exception>
    public Span<byte> Writable(long offset, int length) => WritableBytes(offset, length);

    /// <summary>A writable view of <paramref name="count"/> f32 values from value number <paramref name="offset"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the buffer.</exception>
    public Span<float> Floats(long offset, int count) =>
        MemoryMarshal.Cast<byte, float>(WritableBytes(checked(offset * sizeof(float)), checked(count * sizeof(float))));

    /// <inheritdoc/>
    protected override void Free()
    {
        NativeMemory.Free((void*)_memory);
        Interlocked.Add(ref s_allocated, -Length);
        GC.RemoveMemoryPressure(Math.Max(1, Length));
    }
}
