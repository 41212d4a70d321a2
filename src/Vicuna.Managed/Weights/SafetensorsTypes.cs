using System.Text.Json;

namespace Vicuna.Managed.Weights;

/// <summary>The names of safetensors' 22 element types (the <c>Dtype</c> enumeration of huggingface/safetensors 0.8, which is case-sensitive).</summary>
internal static class SafetensorsTypes
{
    // The common ones first: the table is searched from its beginning.
    private static readonly (byte[] Utf8, string Name, TensorType Type)[] Table =
    [
        .. new[]
        {
            TensorType.F16, TensorType.BF16, TensorType.F32, TensorType.U8, TensorType.I8, TensorType.Bool, TensorType.F4, TensorType.F6_E2M3,
            TensorType.F6_E3M2, TensorType.F8_E5M2, TensorType.F8_E4M3, TensorType.F8_E8M0, TensorType.F8_E4M3FNUZ, TensorType.F8_E5M2FNUZ,
            TensorType.I16, TensorType.U16, TensorType.I32, TensorType.U32, TensorType.C64, TensorType.F64, TensorType.I64, TensorType.U64,
        }.Select(type =>
        {
            string name = type is TensorType.Bool ? "BOOL" : type.ToString();
            return (System.Text.Encoding.ASCII.GetBytes(name), name, type);
        }),
    ];

    /// <summary>The type that the reader's string token names.</summary>
    /// <exception cref="InvalidOperationException">The string holds half a surrogate pair.</exception>
    public static bool TryParse(ref Utf8JsonReader json, out TensorType type)
    {
        foreach ((byte[] utf8, _, TensorType candidate) in Table)
        {
            if (json.ValueTextEquals(utf8))
            {
                type = candidate;
                return true;
            }
        }

        type = default;
        return false;
    }

    /// <summary>Bytes that a tensor takes, or null where its elements end inside a byte.</summary>
    /// <exception cref="OverflowException">The elements or bytes are 2^63 or more.</exception>
    public static long? ByteLength(TensorType type, ReadOnlySpan<long> shape)
    {
        (long blocks, long rest) = Math.DivRem(TensorTypes.ElementCount(shape), type.BlockElements());
        return rest == 0 ? checked(blocks * type.BlockBytes()) : null;
    }

    /// <summary>The name of a type in a header, or null for a type that safetensors does not have (GGUF's blocks).</summary>
    public static string? NameOf(TensorType type) => Array.Find(Table, row => row.Type == type).Name;
}
