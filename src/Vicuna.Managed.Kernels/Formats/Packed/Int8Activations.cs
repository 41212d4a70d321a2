using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// Activations as 8-bit integers in groups of 32 columns, x = s · q with |q| up to 127 and one scale s a group and token.
/// A group of a tile is one run of integers, W tokens wide (4, or 1 where there is one token only):
/// <list type="table">
/// <listheader><term>place, in 32-bit integers</term><description>content</description></listheader>
/// <item><term>step · W + token, step 0-7</term><description>columns 4 step to 4 step + 3, one byte each</description></item>
/// <item><term>8 W + token</term><description>two 16-bit numbers: -8 times the sum of the columns 4 step and 4 step + 1, and of 4 step + 2 and 4 step + 3; products with q instead of q - 8 start from them</description></item>
/// <item><term>9 W + token</term><description>the bits of s, f32</description></item>
/// </list>
/// Columns and tokens that do not exist are zero. Rounding is to nearest, ties to even. A group with an element that is not finite has the scale
/// NaN, so that its results are NaN.
/// </summary>
internal static class Int8Activations
{
    private const float Largest = 127f;
    private const int GroupIntegers = 10;

    /// <summary>Length of X laid out, in integers.</summary>
    public static long Integers(int tokens, int columns) =>
        checked((long)PackedLayout.Tiles(tokens) * PackedLayout.Groups(columns) * GroupIntegers * (tokens == 1 ? 1 : PackedLayout.TileTokens));

    /// <summary>Integers of one tile.</summary>
    public static int TileIntegers(int groups, int tokens) => groups * GroupIntegers * (tokens == 1 ? 1 : PackedLayout.TileTokens);

    /// <summary>Lays out one tile of tokens.</summary>
    /// <param name="x">X, f32 <c>[tokens, columns]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="columns">Columns of X, dimensionless.</param>
    /// <param name="tile">Which tile, from 0.</param>
    /// <param name="packed">X laid out, <c>[Integers]</c>.</param>
    public static void PackTile(ReadOnlySpan<float> x, int tokens, int columns, int tile, Span<int> packed)
    {
        int groups = PackedLayout.Groups(columns);
        int width = tokens == 1 ? 1 : PackedLayout.TileTokens;
        int integers = TileIntegers(groups, tokens);
        Span<int> target = packed.Slice(tile * integers, integers);
        Span<float> last = stackalloc float[PackedLayout.GroupColumns];
        for (int t = 0; t < width; t++)
        {
            int token = (tile * width) + t;
            for (int g = 0; g < groups; g++)
            {
                Span<int> group = target.Slice(g * GroupIntegers * width, GroupIntegers * width)[t..];
                if (token >= tokens)
                {
                    for (int i = 0; i < GroupIntegers; i++)
                    {
                        group[i * width] = 0;
                    }

                    continue;
                }

                int from = g * PackedLayout.GroupColumns;
                int count = Math.Min(PackedLayout.GroupColumns, columns - from);
                scoped ReadOnlySpan<float> values = x.Slice((token * columns) + from, count);
                if (count < PackedLayout.GroupColumns)
                {
                    last.Clear();
                    values.CopyTo(last);
                    values = last;
                }

                PackGroup(values, group, width);
            }
        }
    }

    private static void PackGroup(ReadOnlySpan<float> values, Span<int> group, int width)
    {
        float maximum = Magnitude.Max(values);
        float inverse = maximum == 0 ? 0 : Largest / maximum;
        float scale = maximum / Largest;
        if (!float.IsFinite(inverse))
        {
            (inverse, scale) = (0, 0); // subnormal all over: as good as zero
        }

        if (!float.IsFinite(maximum))
        {
            (inverse, scale) = (0, float.NaN);
        }

        Vector256<short> sums = Vector256<short>.Zero;
        Span<int> four = stackalloc int[4];
        for (int half = 0; half < 2; half++)
        {
            Vector256<int> a = Round(values.Slice(half * 16, 8), inverse);
            Vector256<int> b = Round(values.Slice((half * 16) + 8, 8), inverse);
            Vector256<short> shorts = Vector256.Narrow(a, b);
            sums += shorts;
            Vector128.Narrow(shorts.GetLower(), shorts.GetUpper()).AsInt32().CopyTo(four);
            for (int i = 0; i < 4; i++)
            {
                group[((half * 4) + i) * width] = four[i];
            }
        }

        // Lanes i, i + 4, i + 8 and i + 12 hold columns i mod 4.
        Vector128<short> eight = sums.GetLower() + sums.GetUpper();
        int first = eight[0] + eight[1] + eight[4] + eight[5];
        int second = eight[2] + eight[3] + eight[6] + eight[7];
        group[8 * width] = (-8 * first & 0xFFFF) | (-8 * second << 16);
        group[9 * width] = BitConverter.SingleToInt32Bits(scale);
    }

    // A product with an infinite or NaN element is NaN, which has no integer: such a group is all zeros, its scale says the rest.
    private static Vector256<int> Round(ReadOnlySpan<float> values, float inverse) =>
        inverse == 0 ? Vector256<int>.Zero : Vector256.ConvertToInt32Native(Vector256.Round(Vector256.Create(values) * inverse));
}
