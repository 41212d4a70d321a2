using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Models;

/// <summary>Keys and values of one sequence, in pages that are added as the sequence grows. Not safe for concurrent use.</summary>
internal sealed class KvCache(KvShape shape, int capacity) : IDisposable
{
    private readonly List<AlignedBuffer> _pages = [];

    /// <summary>Layout of the pages.</summary>
    public KvShape Shape { get; } = shape;

    /// <summary>Most positions that it will ever hold.</summary>
    public int Capacity { get; } = capacity;

    /// <summary>Positions that are complete in all layers.</summary>
    public int Length { get; private set; }

    /// <summary>The pages; the last may hold positions beyond <see cref="Length"/> that are being computed.</summary>
    public IReadOnlyList<AlignedBuffer> Pages => _pages;

    /// <summary>Memory that a cache of a length takes: whole pages, in bytes.</summary>
    public static long MemoryBytes(KvShape shape, int positions) =>
        checked((positions + KvShape.PagePositions - 1L) / KvShape.PagePositions * shape.PageElements * sizeof(float));

    /// <summary>Makes room for <paramref name="tokens"/> positions after <see cref="Length"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The capacity would be exceeded.</exception>
    /// <exception cref="OutOfMemoryException">The system has no memory for another page.</exception>
    public void Reserve(int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)Length + tokens, Capacity, nameof(tokens));
        while (_pages.Count * KvShape.PagePositions < Length + tokens)
        {
            _pages.Add(AlignedBuffer.AllocateFloats(Shape.PageElements));
        }
    }

    /// <summary>Stores the keys and values of a layer for positions from <see cref="Length"/> on.</summary>
    /// <param name="layer">Block number.</param>
    /// <param name="keys">f32 <c>[tokens, Hkv, dh]</c>, already rotated.</param>
    /// <param name="values">f32 <c>[tokens, Hkv, dh]</c>.</param>
    public void Store(int layer, ReadOnlySpan<float> keys, ReadOnlySpan<float> values)
    {
        int width = Shape.KeyValueHeads * Shape.HeadDim;
        for (int token = 0; token < keys.Length / width; token++)
        {
            int position = Length + token;
            AlignedBuffer page = _pages[position / KvShape.PagePositions];
            long row = (long)(position % KvShape.PagePositions) * Shape.HeadDim;
            for (int head = 0; head < Shape.KeyValueHeads; head++)
            {
                int from = (token * width) + (head * Shape.HeadDim);
                keys.Slice(from, Shape.HeadDim).CopyTo(page.Floats(Shape.KeyOffset(layer, head) + row, Shape.HeadDim));
                values.Slice(from, Shape.HeadDim).CopyTo(page.Floats(Shape.ValueOffset(layer, head) + row, Shape.HeadDim));
            }
        }
    }

    /// <summary>Counts stored positions as complete: called when all layers have stored them.</summary>
    public void Commit(int tokens) => Length += tokens;

    /// <summary>Forgets positions from <paramref name="length"/> on and frees the pages that only they used.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
        int keep = (length + KvShape.PagePositions - 1) / KvShape.PagePositions;
        for (int i = _pages.Count - 1; i >= keep; i--)
        {
            _pages[i].Dispose();
            _pages.RemoveAt(i);
        }
    }

    /// <summary>Frees all pages.</summary>
    public void Dispose() => Truncate(Length = 0);
}
