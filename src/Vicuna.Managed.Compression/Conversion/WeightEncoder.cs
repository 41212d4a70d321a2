using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>
/// Stores f32 values in the types that this library writes. Blocks are ggml's, to the bit: <c>quantize_row_q8_0_ref</c> and
/// <c>quantize_row_q4_0_ref</c> of ggml-quants.c say how a scale is chosen and how a value is rounded.
/// </summary>
internal static class WeightEncoder
{
    private const int Block = 32;

    /// <summary>The types that <see cref="Encode"/> knows.</summary>
    public static IReadOnlyList<TensorType> Types { get; } = [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0];

    /// <summary>Stores values.</summary>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="values">f32 <c>[n]</c>, whole blocks.</param>
    /// <param name="destination">The stored values, <c>[n / BlockElements · BlockBytes]</c>.</param>
    /// <returns>Null; or a value that is not finite, or beyond the range of the type: F32 takes any.</returns>
    public static float? Encode(TensorType type, ReadOnlySpan<float> values, Span<byte> destination)
    {
        switch (type)
        {
            case TensorType.F32:
                MemoryMarshal.AsBytes(values).CopyTo(destination);
                return null;
            case TensorType.F16:
                return ToHalf(values, destination);
            case TensorType.BF16:
                return ToBFloat16(values, destination);
            case TensorType.Q8_0:
                return InBlocks(values, destination, type.BlockBytes(), ToQ8);
            case TensorType.Q4_0:
                return InBlocks(values, destination, type.BlockBytes(), ToQ4);
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Not a type that can be written.");
        }
    }

    private static float? ToHalf(ReadOnlySpan<float> values, Span<byte> destination)
    {
        Span<Half> halves = MemoryMarshal.Cast<byte, Half>(destination);
        for (int i = 0; i < values.Length; i++)
        {
            halves[i] = (Half)values[i];
            if (!Half.IsFinite(halves[i]))
            {
                return values[i];
            }
        }

        return null;
    }

    // The upper half of the bits, rounded to the nearest, to the even one of two.
    private static float? ToBFloat16(ReadOnlySpan<float> values, Span<byte> destination)
    {
        Span<ushort> stored = MemoryMarshal.Cast<byte, ushort>(destination);
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            uint rounded = unchecked(bits + 0x7FFF + ((bits >> 16) & 1));
            if (!float.IsFinite(values[i]) || !float.IsFinite(BitConverter.UInt32BitsToSingle(rounded)))
            {
                return values[i];
            }

            stored[i] = (ushort)(rounded >> 16);
        }

        return null;
    }

    private static float? InBlocks(ReadOnlySpan<float> values, Span<byte> destination, int blockBytes, BlockEncoder encode)
    {
        for (int i = 0; i < values.Length; i += Block)
        {
            ReadOnlySpan<float> block = values.Slice(i, Block);
            if (!encode(block, destination.Slice(i / Block * blockBytes, blockBytes)))
            {
                return Largest(block);
            }
        }

        return null;
    }

    private static bool ToQ8(ReadOnlySpan<float> values, Span<byte> block)
    {
        float scale = MathF.Abs(Largest(values)) / 127;
        float inverse = scale != 0 ? 1 / scale : 0;
        if (!WriteScale(scale, block))
        {
            return false;
        }

        for (int i = 0; i < values.Length; i++)
        {
            block[2 + i] = unchecked((byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero));
        }

        return true;
    }

    // The value of largest magnitude becomes -8 exactly, whatever its sign: the scale has the opposite one.
    private static bool ToQ4(ReadOnlySpan<float> values, Span<byte> block)
    {
        float scale = Largest(values) / -8;
        float inverse = scale != 0 ? 1 / scale : 0;
        if (!WriteScale(scale, block))
        {
            return false;
        }

        for (int i = 0; i < Block / 2; i++)
        {
            block[2 + i] = (byte)(Nibble(values[i] * inverse) | (Nibble(values[i + (Block / 2)] * inverse) << 4));
        }

        return true;
    }

    private static int Nibble(float value) => Math.Min(15, (int)(value + 8.5f));

    // With its sign; the first of equals. A value that is not finite wins.
    private static float Largest(ReadOnlySpan<float> values)
    {
        float largest = 0;
        foreach (float value in values)
        {
            if (MathF.Abs(largest) < MathF.Abs(value) || !float.IsFinite(value))
            {
                largest = value;
                if (!float.IsFinite(value))
                {
                    break;
                }
            }
        }

        return largest;
    }

    private static bool WriteScale(float scale, Span<byte> block)
    {
        Half half = (Half)scale;
        BinaryPrimitives.WriteHalfLittleEndian(block, half);
        return Half.IsFinite(half);
    }

    private delegate bool BlockEncoder(ReadOnlySpan<float> values, Span<byte> block);
}
