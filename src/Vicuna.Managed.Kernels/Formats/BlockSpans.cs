namespace Vicuna.Managed.Kernels.Formats;

/// <summary>The one check that every block format makes before it walks its blocks.</summary>
internal static class BlockSpans
{
    /// <summary>The number of blocks, once the two spans are known to be whole blocks of equal count.</summary>
    /// <typeparam name="TFormat">The storage format.</typeparam>
    /// <param name="blocks">Stored blocks, <c>[n · BlockBytes]</c>.</param>
    /// <param name="elements">Their elements, f32 <c>[n · BlockElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not whole blocks.</exception>
    public static int Count<TFormat>(ReadOnlySpan<byte> blocks, ReadOnlySpan<float> elements)
        where TFormat : struct, IWeightFormat<TFormat>
    {
        (int count, int rest) = Math.DivRem(blocks.Length, TFormat.BlockBytes);
        if (rest != 0 || (long)count * TFormat.BlockElements != elements.Length)
        {
            throw new ArgumentException(
                $"{TFormat.Name}: {blocks.Length} bytes are not {elements.Length} elements, {TFormat.BlockElements} to a block of {TFormat.BlockBytes} bytes.");
        }

        return count;
    }
}
