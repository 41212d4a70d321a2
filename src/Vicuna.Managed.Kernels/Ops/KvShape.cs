namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Layout of a page of the key and value cache: <see cref="PagePositions"/> positions of every layer, as runs <c>[layers, 2, kvHeads]</c>, keys
/// before values. A run is one head: with <see cref="KvType.Q8"/> the scales of its positions, f32 <c>[PagePositions]</c>, then the elements:
/// keys transposed, <c>[headDim, PagePositions]</c>, so that the scores of neighboring positions lie side by side in a vector; values
/// <c>[PagePositions, headDim]</c>, so that the elements of a result do.
/// </summary>
/// <param name="Layers">Transformer blocks.</param>
/// <param name="KeyValueHeads">Heads of K and V.</param>
/// <param name="HeadDim">Elements per head.</param>
/// <param name="Type">How elements are stored.</param>
internal readonly record struct KvShape(int Layers, int KeyValueHeads, int HeadDim, KvType Type)
{
    /// <summary>Positions per page. Attention sums page by page, so this number is part of the results' last bits.</summary>
    public const int PagePositions = 64;

    /// <summary>Bytes per stored element.</summary>
    public int ElementBytes => Type switch
    {
        KvType.F32 => 4,
        KvType.F16 => 2,
        _ => 1,
    };

    /// <summary>Bytes of the scale of one position of one head.</summary>
    public int ScaleBytes => Type == KvType.Q8 ? sizeof(float) : 0;

    /// <summary>Bytes of one head's keys, or values, at one position.</summary>
    public int PositionBytes => checked((HeadDim * ElementBytes) + ScaleBytes);

    /// <summary>Bytes of one head's keys, or values, in one page.</summary>
    public int RunBytes => checked(PagePositions * PositionBytes);

    /// <summary>Bytes of a page.</summary>
    public long PageBytes => checked((long)Layers * 2 * KeyValueHeads * RunBytes);

    /// <summary>Bytes that one position of all layers takes.</summary>
    public long BytesPerPosition => checked((long)Layers * 2 * KeyValueHeads * PositionBytes);

    /// <summary>Where a head's keys start in a page, in bytes.</summary>
    public long KeyOffset(int layer, int head) => (((long)layer * 2 * KeyValueHeads) + head) * RunBytes;

    /// <summary>Where a head's values start in a page, in bytes.</summary>
    public long ValueOffset(int layer, int head) => ((((long)layer * 2) + 1) * KeyValueHeads + head) * RunBytes;
}
