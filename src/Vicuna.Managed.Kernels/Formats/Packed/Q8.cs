using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// Eight-bit weights, w = d · q with |q| up to 127 and one scale d for 32 columns of a row: 8.5 bits a weight. A group of 16 rows and 32 columns:
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>2 row, row 0-15</term><description>d, f16</description></item>
/// <item><term>32 + 32 pair + 2 row + c, pair 0-15, c 0-1</term><description>q of column 2 pair + c, signed</description></item>
/// </list>
/// </summary>
internal readonly partial struct Q8 : IPackedFormat<Q8>
{
    private const int ScaleBytes = 32;
    private const int GroupSize = 544;
    private const float Largest = 127f;

    /// <inheritdoc/>
    public static string Name => "q8";

    /// <inheritdoc/>
    public static int GroupBytes => GroupSize;

    /// <inheritdoc/>
    public static ActivationKind Activations => ActivationKind.Int16;

    /// <inheritdoc/>
    public static string LosslessSource => Q8_0.Name;

    /// <inheritdoc/>
    public static int Quantize(ReadOnlySpan<float> weights, int stride, int rows, Span<byte> group)
    {
        Span<float> scales = stackalloc float[PackedLayout.BlockRows];
        scales = scales[..rows];
        for (int row = 0; row < rows; row++)
        {
            scales[row] = Magnitude.Max(weights.Slice(row * stride, PackedLayout.GroupColumns)) / Largest;
            if (!float.IsFinite(scales[row]))
            {
                return row;
            }
        }

        HalfScale.Round(scales, group);
        Span<ushort> all = MemoryMarshal.Cast<byte, ushort>(group[ScaleBytes..GroupSize]);
        Span<ushort> pairs = stackalloc ushort[PackedLayout.GroupColumns / 2];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> w = weights.Slice(row * stride, PackedLayout.GroupColumns);
            float inverse = HalfScale.Inverse(scales[row]);
            Vector256<short> lower = Vector256.Narrow(Numbers(w, inverse), Numbers(w[8..], inverse));
            Vector256<short> upper = Vector256.Narrow(Numbers(w[16..], inverse), Numbers(w[24..], inverse));
            Vector256.Narrow(lower, upper).AsUInt16().CopyTo(pairs);
            for (int pair = 0; pair < pairs.Length; pair++)
            {
                all[(pair * PackedLayout.BlockRows) + row] = pairs[pair];
            }
        }

        return -1;
    }

    /// <inheritdoc/>
    public static void Repack(ReadOnlySpan<byte> block, int row, Span<byte> group)
    {
        block[..2].CopyTo(group[(2 * row)..]);
        for (int k = 0; k < PackedLayout.GroupColumns; k++)
        {
            group[At(row, k)] = block[2 + k];
        }
    }

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> group, int row, Span<float> destination)
    {
        float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(group[(2 * row)..]);
        for (int k = 0; k < PackedLayout.GroupColumns; k++)
        {
            destination[k] = scale * (sbyte)group[At(row, k)];
        }
    }

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> block, int groups, ReadOnlySpan<int> activations, int tokens, int firstTile, int tiles, Span<float> destination, int stride)
        where TIsa : struct, IIsa
    {
        PackedLayout.Check(
            block.Length, (long)groups * GroupSize, activations.Length, Int16Activations.Integers(tokens, groups * PackedLayout.GroupColumns), tokens, firstTile, tiles, destination.Length, stride);
        int tileIntegers = Int16Activations.TileIntegers(groups, tokens);
        ReadOnlySpan<int> x = activations[(firstTile * tileIntegers)..];
        ReadOnlySpan<float> scales = MemoryMarshal.Cast<int, float>(activations[(PackedLayout.Tiles(tokens) * tileIntegers)..])[(firstTile * PackedLayout.TileTokens)..];
        if (typeof(TIsa) == typeof(Scalar))
        {
            int width = tokens == 1 ? 1 : PackedLayout.TileTokens;
            for (int t = 0; t < tiles * width; t++)
            {
                MultiplyScalar(block, groups, x[(t / width * tileIntegers)..], width, t % width, scales[t], destination[(t * stride)..]);
            }

            return;
        }

        ref byte w = ref MemoryMarshal.GetReference(block);
        ref float y = ref MemoryMarshal.GetReference(destination);
        ref int x0 = ref MemoryMarshal.GetReference(x);
        ref float s = ref MemoryMarshal.GetReference(scales);
        if (tokens == 1)
        {
            if (typeof(TIsa) == typeof(Avx512))
            {
                OneToken512(ref w, groups, ref x0, s, ref y);
            }
            else
            {
                OneToken256(ref w, groups, ref x0, s, ref y);
            }
        }
        else if (typeof(TIsa) == typeof(Avx512))
        {
            ref int x1 = ref MemoryMarshal.GetReference(x[(tiles > 1 ? tileIntegers : 0)..]);
            ref int x2 = ref MemoryMarshal.GetReference(x[(tiles > 2 ? 2 * tileIntegers : 0)..]);
            switch (tiles)
            {
                case 3: Tokens12x512(ref w, groups, ref x0, ref x1, ref x2, ref s, ref y, (nuint)stride); break;
                case 2: Tokens8x512(ref w, groups, ref x0, ref x1, ref s, ref y, (nuint)stride); break;
                default: Tokens4x512(ref w, groups, ref x0, ref s, ref y, (nuint)stride); break;
            }
        }
        else
        {
            for (int tile = 0; tile < tiles; tile++)
            {
                int token = tile * PackedLayout.TileTokens;
                Tokens4x256(
                    ref w, groups, ref MemoryMarshal.GetReference(x[(tile * tileIntegers)..]), ref MemoryMarshal.GetReference(scales[token..]), ref MemoryMarshal.GetReference(destination[(token * stride)..]), (nuint)stride);
            }
        }
    }

    // The specification: exact integer sums, then one fused product a group.
    private static void MultiplyScalar(ReadOnlySpan<byte> block, int groups, ReadOnlySpan<int> x, int width, int t, float scale, Span<float> y)
    {
        for (int row = 0; row < PackedLayout.BlockRows; row++)
        {
            float sum = 0;
            for (int g = 0; g < groups; g++)
            {
                ReadOnlySpan<byte> group = block.Slice(g * GroupSize, GroupSize);
                int products = 0;
                for (int k = 0; k < PackedLayout.GroupColumns; k++)
                {
                    int pair = x[(((g * PackedLayout.GroupColumns / 2) + (k / 2)) * width) + t];
                    products += (sbyte)group[At(row, k)] * (short)(pair >> (16 * (k % 2)));
                }

                sum = MathF.FusedMultiplyAdd(products, (float)BinaryPrimitives.ReadHalfLittleEndian(group[(2 * row)..]), sum);
            }

            y[row] = sum * scale;
        }
    }

    private static Vector256<int> Numbers(ReadOnlySpan<float> weights, float inverse) => Vector256.ConvertToInt32Native(
        Vector256.MinNative(Vector256.MaxNative(Vector256.Round(Vector256.Create(weights) * inverse), Vector256.Create(-Largest)), Vector256.Create(Largest)));

    private static int At(int row, int k) => ScaleBytes + (k / 2 * 32) + (2 * row) + (k % 2);
}
