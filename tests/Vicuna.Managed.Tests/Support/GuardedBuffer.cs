using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// Memory between two inaccessible pages. A slice at its end stops at the second, one at its start begins right after the first: a kernel
/// that touches one byte too many, on either side, ends the process.
/// </summary>
internal sealed unsafe class GuardedBuffer : MemoryBlock
{
    private readonly nint _pages;
    private readonly nuint _size;

    private GuardedBuffer(nint pages, nuint size, nuint guard)
        : base((byte*)pages + guard, (long)(size - (2 * guard)))
    {
        _pages = pages;
        _size = size;
    }

    /// <summary>Allocates room for slices of up to <paramref name="capacity"/> bytes.</summary>
    public static GuardedBuffer Allocate(int capacity)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        nuint open = Math.Max(1, ((nuint)capacity + page - 1) / page) * page;
        nint pages = PageMemory.Reserve(open + (2 * page));
        PageMemory.Open(pages + (nint)page, open);
        return new GuardedBuffer(pages, open + (2 * page), page);
    }

    /// <summary>A slice of <paramref name="count"/> elements that touches a guard page; it and what lies beside it are NaN (0xff) afterwards.</summary>
    public Span<T> Slice<T>(int count, bool atEnd)
        where T : unmanaged
    {
        int bytes = checked(count * sizeof(T));
        Span<byte> all = WritableBytes(0, (int)Length);
        int surroundings = Math.Min(all.Length, bytes + 256);
        (atEnd ? all[^surroundings..] : all[..surroundings]).Fill(0xff);
        return MemoryMarshal.Cast<byte, T>(atEnd ? all[^bytes..] : all[..bytes]);
    }

    /// <summary>A slice that holds a copy of <paramref name="content"/> and touches a guard page.</summary>
    public Span<T> Copy<T>(ReadOnlySpan<T> content, bool atEnd)
        where T : unmanaged
    {
        Span<T> slice = Slice<T>(content.Length, atEnd);
        content.CopyTo(slice);
        return slice;
    }

    /// <summary>The bytes of a slice as a region.</summary>
    public ByteRegion Part(int bytes, bool atEnd) => new(this, atEnd ? Length - bytes : 0, bytes);

    protected override void Free() => PageMemory.Free(_pages, _size);
}
