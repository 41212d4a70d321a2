namespace Vicuna.Managed.Weights.Gguf;

/// <summary>The numbers of ggml's tensor types. Source: ggml.h, <c>enum ggml_type</c>; numbers that it skips belonged to formats since removed.</summary>
internal static class GgufTensorTypes
{
    private static readonly string[] Names =
    [
        "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1",
        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
        "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M",
        "BF16", "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",
    ];

    /// <summary>Finds the type that a number stands for; false where it is unknown or not supported.</summary>
    public static bool TryGet(uint number, out TensorType type)
    {
        TensorType? found = number switch
        {
            0 => TensorType.F32,
            1 => TensorType.F16,
            2 => TensorType.Q4_0,
            3 => TensorType.Q4_1,
            6 => TensorType.Q5_0,
            7 => TensorType.Q5_1,
            8 => TensorType.Q8_0,
            12 => TensorType.Q4_K,
            13 => TensorType.Q5_K,
            14 => TensorType.Q6_K,
            24 => TensorType.I8,
            25 => TensorType.I16,
            26 => TensorType.I32,
            27 => TensorType.I64,
            28 => TensorType.F64,
            30 => TensorType.BF16,
            _ => null,
        };
        type = found.GetValueOrDefault();
        return found is not null;
    }

    /// <summary>The number of a type; null where GGUF has none that is supported.</summary>
    public static uint? NumberOf(TensorType type)
    {
        for (uint number = 0; number < Names.Length; number++)
        {
            if (TryGet(number, out TensorType found) && found == type)
            {
                return number;
            }
        }

        return null;
    }

    /// <summary>A number's name, for messages: <c>IQ4_XS (23)</c>.</summary>
    public static string Describe(uint number) => number < Names.Length ? $"{Names[number]} ({number})" : $"{number} (unknown)";
}
