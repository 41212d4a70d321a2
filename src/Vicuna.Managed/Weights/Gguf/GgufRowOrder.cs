namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// The order of rows in the Q and K projections of GGUF's architecture <c>llama</c>. Hugging Face rotates dimension i of a head together with
/// dimension i + d/2; GGUF's readers rotate adjacent pairs, so its writers store each head's rows as 0, d/2, 1, d/2 + 1, 2, ...
/// A decoder that rotates adjacent pairs of such Q and K gets the same scores, because the order within a head cancels in their product.
/// Source: llama.cpp's convert_hf_to_gguf.py, <c>permute</c>.
/// </summary>
internal static class GgufRowOrder
{
    /// <summary>Hugging Face's row that stands at a row of the GGUF tensor.</summary>
    /// <param name="row">Row of the GGUF tensor, 0 to <paramref name="heads"/> · <paramref name="headDim"/> - 1.</param>
    /// <param name="heads">Heads of this projection (for K the key-value heads).</param>
    /// <param name="headDim">Rows per head, even.</param>
    /// <exception cref="ArgumentException">A number is out of range or the head dimension is odd.</exception>
    public static int ToHuggingFace(int row, int heads, int headDim)
    {
        int inHead = Check(row, heads, headDim);
        return row - inHead + ((inHead & 1) * (headDim / 2)) + (inHead >> 1);
    }

    /// <summary>The row of the GGUF tensor at which a row of Hugging Face's stands: the inverse of <see cref="ToHuggingFace"/>.</summary>
    /// <param name="row">Row of Hugging Face's tensor, 0 to <paramref name="heads"/> · <paramref name="headDim"/> - 1.</param>
    /// <param name="heads">Heads of this projection (for K the key-value heads).</param>
    /// <param name="headDim">Rows per head, even.</param>
    /// <exception cref="ArgumentException">A number is out of range or the head dimension is odd.</exception>
    public static int FromHuggingFace(int row, int heads, int headDim)
    {
        int inHead = Check(row, heads, headDim);
        int half = headDim / 2;
        return row - inHead + (2 * (inHead % half)) + (inHead / half);
    }

    private static int Check(int row, int heads, int headDim)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(heads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(headDim);
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, (long)heads * headDim);
        return headDim % 2 == 0 ? row % headDim : throw new ArgumentException($"Expected an even head dimension, found {headDim}.", nameof(headDim));
    }
}
