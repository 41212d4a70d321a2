using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// Four-bit weights, w = d · (q - 8) with q from 0 to 15 and one scale d for 32 columns of a row: 4.5 bits a weight. A group of 16 rows and 32 columns:
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>2 row, row 0-15</term><description>d, f16</description></item>
/// <item><term>32 + 64 i + 4 row + c, i 0-3, c 0-3</term><description>q of column 8 i + c in bits 3-0, of column 8 i + 4 + c in bits 7-4</description></item>
/// </list>
/// </summary>
internal readonly partial struct Q4 : IPackedFormat<Q4>
{
    private const int ScaleBytes = 32;
    private const int GroupSize = 288;

    /// <inheritdoc/>
    public static string Name => "q4";

    /// <inheritdoc/>
    public static int GroupBytes => GroupSize;

    /// <inheritdoc/>
    public static ActivationKind Activations => ActivationKind.Int8;

    /// <inheritdoc/>
    public static string LosslessSource => Q4_0.Name;

    /// <summary>
    /// Quantizes with the scale of least squared error among four that put a row's largest weight near an end of the range (eight lowered the
    /// error of normally distributed weights by less than 2 %, and took twice as long): for given numbers n = q - 8 the best scale is Σ w n / Σ n², and it leaves the error Σ w² - (Σ w n)² / Σ n².
    /// </summary>
    /// <inheritdoc/>
    public static int Quantize(ReadOnlySpan<float> weights, int stride, int rows, Span<byte> group)
    {
        Span<float> scales = stackalloc float[PackedLayout.BlockRows];
        scales = scales[..rows];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> w = weights.Slice(row * stride, PackedLayout.GroupColumns);
            float extreme = Extreme(w);
            if (!float.IsFinite(extreme))
            {
                return row;
            }

            scales[row] = BestScale(Vector512.Create(w), Vector512.Create(w[16..]), extreme);
        }

        HalfScale.Round(scales, group);
        Span<uint> all = MemoryMarshal.Cast<byte, uint>(group[ScaleBytes..GroupSize]);
        Span<uint> fours = stackalloc uint[PackedLayout.GroupColumns / 4];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> w = weights.Slice(row * stride, PackedLayout.GroupColumns);
            float inverse = HalfScale.Inverse(scales[row]);
            Vector512<short> codes = Vector512.Narrow(Codes(Vector512.Create(w), inverse), Codes(Vector512.Create(w[16..]), inverse));
            Vector256.Narrow(codes.GetLower(), codes.GetUpper()).AsUInt32().CopyTo(fours);
            for (int i = 0; i < 4; i++)
            {
                all[(i * PackedLayout.BlockRows) + row] = fours[2 * i] | (fours[(2 * i) + 1] << 4);
            }
        }

        return -1;
    }

    /// <inheritdoc/>
    public static void Repack(ReadOnlySpan<byte> block, int row, Span<byte> group)
    {
        block[..2].CopyTo(group[(2 * row)..]);
        ReadOnlySpan<byte> q = block.Slice(2, 16);
        for (int k = 0; k < PackedLayout.GroupColumns; k += 8)
        {
            for (int c = 0; c < 4; c++)
            {
                int low = Nibble(q, k + c);
                int high = Nibble(q, k + 4 + c);
                group[ScaleBytes + (8 * k) + (4 * row) + c] = (byte)(low | (high << 4));
            }
        }
    }

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> group, int row, Span<float> destination)
    {
        float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(group[(2 * row)..]);
        for (int k = 0; k < PackedLayout.GroupColumns; k++)
        {
            destination[k] = scale * (Number(group, row, k) - 8);
        }
    }

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> block, int groups, ReadOnlySpan<int> activations, int tokens, int firstTile, int tiles, Span<float> destination, int stride)
        where TIsa : struct, IIsa
    {
        PackedLayout.Check(
            block.Length, (long)groups * GroupSize, activations.Length, Int8Activations.Integers(tokens, groups * PackedLayout.GroupColumns), tokens, firstTile, tiles, destination.Length, stride);
        int tileIntegers = Int8Activations.TileIntegers(groups, tokens);
        ReadOnlySpan<int> x = activations[(firstTile * tileIntegers)..];
        if (typeof(TIsa) == typeof(Scalar))
        {
            int width = tokens == 1 ? 1 : PackedLayout.TileTokens;
            for (int t = 0; t < tiles * width; t++)
            {
                MultiplyScalar(block, groups, x[(t / width * tileIntegers)..], width, t % width, destination[(t * stride)..]);
            }

            return;
        }

        ref byte w = ref MemoryMarshal.GetReference(block);
        ref float y = ref MemoryMarshal.GetReference(destination);
        ref int x0 = ref MemoryMarshal.GetReference(x);
        if (tokens == 1)
        {
            if (typeof(TIsa) == typeof(Avx512))
            {
                OneToken512(ref w, groups, ref x0, ref y);
            }
            else
            {
                OneToken256(ref w, groups, ref x0, ref y);
            }
        }
        else if (typeof(TIsa) == typeof(Avx512))
        {
            ref int x1 = ref MemoryMarshal.GetReference(x[(tiles > 1 ? tileIntegers : 0)..]);
            ref int x2 = ref MemoryMarshal.GetReference(x[(tiles > 2 ? 2 * tileIntegers : 0)..]);
            switch (tiles)
            {
                case 3: Tokens12x512(ref w, groups, ref x0, ref x1, ref x2, ref y, (nuint)stride); break;
                case 2: Tokens8x512(ref w, groups, ref x0, ref x1, ref y, (nuint)stride); break;
                default: Tokens4x512(ref w, groups, ref x0, ref y, (nuint)stride); break;
            }
        }
        else
        {
            for (int tile = 0; tile < tiles; tile++)
            {
                ref float yTile = ref MemoryMarshal.GetReference(destination[(tile * PackedLayout.TileTokens * stride)..]);
                Tokens4x256(ref w, groups, ref MemoryMarshal.GetReference(x[(tile * tileIntegers)..]), ref yTile, (nuint)stride);
            }
        }
    }

    // The specification: exact integer sums, then one fused product a group.
    private static void MultiplyScalar(ReadOnlySpan<byte> block, int groups, ReadOnlySpan<int> x, int width, int t, Span<float> y)
    {
        for (int row = 0; row < PackedLayout.BlockRows; row++)
        {
            float sum = 0;
            for (int g = 0; g < groups; g++)
            {
                ReadOnlySpan<byte> group = block.Slice(g * GroupSize, GroupSize);
                ReadOnlySpan<int> columns = x.Slice(g * 10 * width, 10 * width)[t..];
                int products = 0;
                for (int k = 0; k < PackedLayout.GroupColumns; k++)
                {
                    products += (Number(group, row, k) - 8) * (sbyte)(columns[k / 4 * width] >> (8 * (k % 4)));
                }

                float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(group[(2 * row)..]) * BitConverter.Int32BitsToSingle(columns[9 * width]);
                sum = MathF.FusedMultiplyAdd(products, scale, sum);
            }

            y[row] = sum;
        }
    }

    private static float BestScale(Vector512<float> w0, Vector512<float> w1, float extreme)
    {
        Vector128<float> inverses = Vector128.Create(-8f, -7.4f, -8.7f, 7.4f) / extreme;
        if (extreme == 0 || !Vector128.LessThanAll(Vector128.Abs(inverses), Vector128.Create(float.PositiveInfinity)))
        {
            return 0; // zero, or subnormal all over: as good as zero
        }

        // All candidates at once: no branch depends on which is better. The extreme itself is never rounded to zero, so no sum of squares is.
        (float product0, float square0) = Sums(w0, w1, inverses[0]);
        (float product1, float square1) = Sums(w0, w1, inverses[1]);
        (float product2, float square2) = Sums(w0, w1, inverses[2]);
        (float product3, float square3) = Sums(w0, w1, inverses[3]);
        Vector128<float> products = Vector128.Create(product0, product1, product2, product3);
        Vector128<float> scales = products / Vector128.Create(square0, square1, square2, square3);
        Vector128<float> gains = scales * products;
        Vector128<float> two = Vector128.MaxNative(gains, Vector128.Shuffle(gains, Vector128.Create(2, 3, 0, 1)));
        float best = MathF.Max(two[0], two[1]);
        uint where = Vector128.Equals(gains, Vector128.Create(best)).ExtractMostSignificantBits();
        return scales[BitOperations.TrailingZeroCount(where) & 3];
    }

    // Σ w n and Σ n² for the numbers that a scale gives.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (float Products, float Squares) Sums(Vector512<float> w0, Vector512<float> w1, float inverse)
    {
        Vector512<float> n0 = Numbers(w0, inverse);
        Vector512<float> n1 = Numbers(w1, inverse);
        return (Vector512.Sum((w0 * n0) + (w1 * n1)), Vector512.Sum((n0 * n0) + (n1 * n1)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Numbers(Vector512<float> w, float inverse) =>
        Vector512.MinNative(Vector512.MaxNative(Vector512.Round(w * inverse), Vector512.Create(-8f)), Vector512.Create(7f));

    private static Vector512<int> Codes(Vector512<float> w, float inverse) => Vector512.ConvertToInt32Native(Numbers(w, inverse)) + Vector512.Create(8);

    // The weight of largest magnitude, with its sign; NaN or infinity if there is one.
    private static float Extreme(ReadOnlySpan<float> weights)
    {
        float maximum = Magnitude.Max(weights);
        var lowest = Vector512.Create(-maximum);
        return Vector512.EqualsAny(Vector512.Create(weights), lowest) || Vector512.EqualsAny(Vector512.Create(weights[16..]), lowest) ? -maximum : maximum;
    }

    private static int Nibble(ReadOnlySpan<byte> q, int k) => k < 16 ? q[k] & 0xf : q[k - 16] >> 4;

    private static int Number(ReadOnlySpan<byte> group, int row, int k) =>
        (group[ScaleBytes + (k / 8 * 64) + (4 * row) + (k % 4)] >> (k % 8 / 4 * 4)) & 0xf;
}
