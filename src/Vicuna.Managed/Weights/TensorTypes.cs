namespace Vicuna.Managed.Weights;

/// <summary>Sizes and names of the <see cref="TensorType"/> values.</summary>
public static class TensorTypes
{
    /// <summary>Elements stored together: 1 for scalar types, 32 or 256 for GGUF's block types, 2 or 4 for types smaller than a byte.</summary>
    /// <param name="type">The storage type.</param>
    /// <returns>Elements per block.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The value is not a member of the enumeration.</exception>
    public static int BlockElements(this TensorType type) => Sizes(type).Elements;

    /// <summary>Bytes that one block of <see cref="BlockElements"/> elements takes.</summary>
    /// <param name="type">The storage type.</param>
    /// <returns>Bytes per block.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The value is not a member of the enumeration.</exception>
    public static int BlockBytes(this TensorType type) => Sizes(type).Bytes;

    /// <summary>The product of a shape, checked.</summary>
    /// <exception cref="OverflowException">A dimension is negative or the product exceeds 2^63 - 1.</exception>
    internal static long ElementCount(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long dimension in shape)
        {
            count = dimension >= 0 ? checked(count * dimension) : throw new OverflowException("A dimension is negative.");
        }

        return count;
    }

    private static (int Elements, int Bytes) Sizes(TensorType type) => type switch
    {
        TensorType.Bool or TensorType.U8 or TensorType.I8 => (1, 1),
        TensorType.F8_E5M2 or TensorType.F8_E4M3 or TensorType.F8_E8M0 or TensorType.F8_E4M3FNUZ or TensorType.F8_E5M2FNUZ => (1, 1),
        TensorType.F4 => (2, 1),
        TensorType.F6_E2M3 or TensorType.F6_E3M2 => (4, 3),
        TensorType.I16 or TensorType.U16 or TensorType.F16 or TensorType.BF16 => (1, 2),
        TensorType.I32 or TensorType.U32 or TensorType.F32 => (1, 4),
        TensorType.C64 or TensorType.F64 or TensorType.I64 or TensorType.U64 => (1, 8),
        TensorType.Q4_0 => (32, 18),
        TensorType.Q4_1 => (32, 20),
        TensorType.Q5_0 => (32, 22),
        TensorType.Q5_1 => (32, 24),
        TensorType.Q8_0 => (32, 34),
        TensorType.Q4_K => (256, 144),
        TensorType.Q5_K => (256, 176),
        TensorType.Q6_K => (256, 210),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a storage type."),
    };
}
