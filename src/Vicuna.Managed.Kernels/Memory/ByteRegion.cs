namespace Vicuna.Managed.Kernels.Memory;

/// <summary>A range of bytes in a <see cref="MemoryBlock"/>, of any length; spans are taken from parts of at most 2 GiB.</summary>
internal readonly struct ByteRegion
{
    private readonly long _offset;

    /// <summary>Bytes <paramref name="offset"/> to <paramref name="offset"/> + <paramref name="length"/> of <paramref name="block"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the block.</exception>
    public ByteRegion(MemoryBlock block, long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > block.Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset}+{length} do not lie in a block of {block.Length} bytes.");
        }

        Block = block;
        _offset = offset;
        Length = length;
    }

    /// <summary>The memory that holds the bytes.</summary>
    public MemoryBlock Block { get; }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <summary>See <see cref="MemoryBlock.Forget"/>.</summary>
    public void Forget() => Block.Forget(_offset, Length);

    /// <summary>Bytes <paramref name="offset"/> to <paramref name="offset"/> + <paramref name="length"/> of this region.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the region.</exception>
    public ByteRegion Slice(long offset, long length)
    {
        Check(offset, length);
        return new ByteRegion(Block, _offset + offset, length);
    }

    /// <summary>A view of <paramref name="length"/> bytes from <paramref name="offset"/>, valid while the block is alive.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the region.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int length)
    {
        Check(offset, length);
        return Block.Bytes(_offset + offset, length);
    }

    private void Check(long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset}+{length} do not lie in a region of {Length} bytes.");
        }
    }
}
