using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// A page of keys and values (see <see cref="KvShape"/>) that several sequences may share. The last one to let go frees it. Whoever writes
/// must be the only holder. References are counted safely from any thread.
/// </summary>
internal sealed class KvPage
{
    private static long s_live;

    private readonly AlignedBuffer _memory;
    private int _references = 1;
    private volatile bool _mayHoldNaN;

    /// <summary>Allocates a page, held once.</summary>
    /// <param name="shape">Its layout.</param>
    /// <exception cref="OutOfMemoryException">The system has no such memory.</exception>
    public KvPage(KvShape shape)
    {
        _memory = AlignedBuffer.Allocate(shape.PageBytes);
        Interlocked.Increment(ref s_live);
    }

    /// <summary>Pages of this process that somebody holds.</summary>
    public static long Live => Interlocked.Read(ref s_live);

    /// <summary>Whether a NaN has been stored here as a half, which attention reads in another way.</summary>
    public bool MayHoldNaN => _mayHoldNaN;

    /// <summary>Whether more than one holder shares it.</summary>
    public bool IsShared => Volatile.Read(ref _references) > 1;

    /// <summary>Says that a NaN has been stored.</summary>
    public void MarkNaN() => _mayHoldNaN = true;

    /// <summary>One more holder. Only a holder may call it.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>One holder less; the last frees the memory.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            _memory.Dispose();
            Interlocked.Decrement(ref s_live);
        }
    }

    /// <summary>A page of its own with the same content, held once.</summary>
    /// <param name="shape">The layout.</param>
    /// <exception cref="OutOfMemoryException">The system has no such memory.</exception>
    public KvPage Copy(KvShape shape)
    {
        KvPage copy = new(shape) { _mayHoldNaN = _mayHoldNaN };
        for (long offset = 0; offset < _memory.Length; offset += shape.RunBytes)
        {
            Run(offset, shape).CopyTo(copy.Run(offset, shape));
        }

        return copy;
    }

    /// <summary>The bytes of a head's keys or values.</summary>
    /// <param name="offset">From <see cref="KvShape.KeyOffset"/> or <see cref="KvShape.ValueOffset"/>.</param>
    /// <param name="shape">The layout.</param>
    public Span<byte> Run(long offset, KvShape shape) => _memory.Writable(offset, shape.RunBytes);
}
