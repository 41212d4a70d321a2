using System.Runtime.CompilerServices;

namespace Vicuna.Managed.Kernels.Memory;

/// <summary>
/// A piece of native memory with a reference count: a mapped file or an aligned buffer. It may be longer than a span can be (2 GiB),
/// so it hands out spans over parts of itself. The memory is freed when the owner has disposed the block and the last
/// <see cref="AddReference"/> has been released, so a span that is used between the two cannot outlive it.
/// </summary>
internal abstract unsafe class MemoryBlock : IDisposable
{
    private readonly byte* _start;
    private int _references = 1;
    private int _disposed;

    /// <summary>Takes over <paramref name="length"/> bytes at <paramref name="start"/>.</summary>
    protected MemoryBlock(byte* start, long length)
    {
        _start = start;
        Length = length;
    }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <summary>The whole block as a region.</summary>
    public ByteRegion Region => new(this, 0, Length);

    /// <summary>Says that a range will not be read again soon: pages that only mirror a file leave the process's memory. Changes nothing else.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the block.</exception>
    public virtual void Forget(long offset, long length)
    {
    }

    /// <summary>Keeps the memory alive until <see cref="Release"/>.</summary>
    /// <exception cref="ObjectDisposedException">The block has been disposed.</exception>
    public void AddReference()
    {
        int seen = Volatile.Read(ref _references);
        while (true)
        {
            ObjectDisposedException.ThrowIf(seen == 0 || Volatile.Read(ref _disposed) != 0, this);
            int before = Interlocked.CompareExchange(ref _references, seen + 1, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    /// <summary>Gives back one reference taken by <see cref="AddReference"/>; the last one frees the memory.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            Free();
        }
    }

    /// <summary>Gives up the owner's reference. New uses fail; uses under way keep the memory until they are done.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Release();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>A read-only view of <paramref name="length"/> bytes from <paramref name="offset"/>.</summary>
    /// <param name="offset">First byte, 0 to <see cref="Length"/>.</param>
    /// <param name="length">Size in bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the block.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ReadOnlySpan<byte> Bytes(long offset, int length)
    {
        Check(offset, length);
        return new ReadOnlySpan<byte>(_start + offset, length);
    }

    /// <summary>A writable view; only blocks that own anonymous memory offer it.</summary>
    protected Span<byte> WritableBytes(long offset, int length)
    {
        Check(offset, length);
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Frees the memory; called once.</summary>
    protected abstract void Free();

    private void Check(long offset, int length)
    {
        // Length is at least 0, so the subtraction cannot wrap once offset and length are known not to be negative.
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset}+{length} do not lie in a block of {Length} bytes.");
        }

        ObjectDisposedException.ThrowIf(Volatile.Read(ref _references) == 0, this);
    }
}
