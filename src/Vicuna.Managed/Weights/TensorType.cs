namespace Vicuna.Managed.Weights;

/// <summary>
/// How the elements of a tensor are stored: the scalar types of safetensors and PyTorch, and the block types of GGUF.
/// Their sizes are in <see cref="TensorTypes"/>.
/// </summary>
public enum TensorType
{
    /// <summary>8-bit truth value.</summary>
    Bool,

    /// <summary>4-bit float, two to a byte.</summary>
    F4,

    /// <summary>6-bit float, 2 exponent and 3 mantissa bits.</summary>
    F6_E2M3,

    /// <summary>6-bit float, 3 exponent and 2 mantissa bits.</summary>
    F6_E3M2,

    /// <summary>8-bit unsigned integer.</summary>
    U8,

    /// <summary>8-bit signed integer.</summary>
    I8,

    /// <summary>8-bit float, 5 exponent and 2 mantissa bits.</summary>
    F8_E5M2,

    /// <summary>8-bit float, 4 exponent and 3 mantissa bits.</summary>
    F8_E4M3,

    /// <summary>8-bit exponent without mantissa (a scale).</summary>
    F8_E8M0,

    /// <summary>8-bit float, 4 exponent and 3 mantissa bits, no infinities, no negative zero.</summary>
    F8_E4M3FNUZ,

    /// <summary>8-bit float, 5 exponent and 2 mantissa bits, no infinities, no negative zero.</summary>
    F8_E5M2FNUZ,

    /// <summary>16-bit signed integer.</summary>
    I16,

    /// <summary>16-bit unsigned integer.</summary>
    U16,

    /// <summary>IEEE half precision float.</summary>
    F16,

    /// <summary>bfloat16: the upper half of an IEEE single.</summary>
    BF16,

    /// <summary>32-bit signed integer.</summary>
    I32,

    /// <summary>32-bit unsigned integer.</summary>
    U32,

    /// <summary>IEEE single precision float.</summary>
    F32,

    /// <summary>A complex number of two singles.</summary>
    C64,

    /// <summary>IEEE double precision float.</summary>
    F64,

    /// <summary>64-bit signed integer.</summary>
    I64,

    /// <summary>64-bit unsigned integer.</summary>
    U64,

    /// <summary>GGUF: blocks of 32, 4 bits and an f16 scale (18 bytes).</summary>
    Q4_0,

    /// <summary>GGUF: blocks of 32, 4 bits, an f16 scale and an f16 minimum (20 bytes).</summary>
    Q4_1,

    /// <summary>GGUF: blocks of 32, 5 bits and an f16 scale (22 bytes).</summary>
    Q5_0,

    /// <summary>GGUF: blocks of 32, 5 bits, an f16 scale and an f16 minimum (24 bytes).</summary>
    Q5_1,

    /// <summary>GGUF: blocks of 32, 8 bits and an f16 scale (34 bytes).</summary>
    Q8_0,

    /// <summary>GGUF: superblocks of 256, 4 bits, eight 6-bit scales and minimums (144 bytes).</summary>
    Q4_K,

    /// <summary>GGUF: superblocks of 256, 5 bits, eight 6-bit scales and minimums (176 bytes).</summary>
    Q5_K,

    /// <summary>GGUF: superblocks of 256, 6 bits, sixteen 8-bit scales (210 bytes).</summary>
    Q6_K,
}
