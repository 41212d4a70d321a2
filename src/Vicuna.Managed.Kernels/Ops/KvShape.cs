namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Layout of a page of the key and value cache: <see cref="PagePositions"/> positions of every layer, f32
/// <c>[layers, 2, kvHeads, PagePositions, headDim]</c>, keys before values. A head's positions lie side by side, so that attention reads
/// them as one small matrix.
/// </summary>
/// <param name="Layers">Transformer blocks.</param>
/// <param name="KeyValueHeads">Heads of K and V.</param>
/// <param name="HeadDim">Elements per head.</param>
internal readonly record struct KvShape(int Layers, int KeyValueHeads, int HeadDim)
{
    /// <summary>Positions per page. Attention sums page by page, so this number is part of the results' last bits.</summary>
    public const int PagePositions = 64;

    /// <summary>Elements of one head in one page.</summary>
    public int HeadElements => PagePositions * HeadDim;

    /// <summary>Elements of a page.</summary>
    public long PageElements => checked((long)Layers * 2 * KeyValueHeads * HeadElements);

    /// <summary>Bytes that one position of all layers takes.</summary>
    public long BytesPerPosition => checked((long)Layers * 2 * KeyValueHeads * HeadDim * sizeof(float));

    /// <summary>Where a head's keys start in a page, in elements.</summary>
    public long KeyOffset(int layer, int head) => (((long)layer * 2 * KeyValueHeads) + head) * HeadElements;

    /// <summary>Where a head's values start in a page, in elements.</summary>
    public long ValueOffset(int layer, int head) => ((((long)layer * 2) + 1) * KeyValueHeads + head) * HeadElements;
}
