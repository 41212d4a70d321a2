using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats.Packed;

/// <summary>
/// Activations as 16-bit integers, x = s · q with |q| up to 32767 and one scale s a token. The multiplication of <see cref="Q8"/> takes 16-bit numbers
/// anyway: the finer grid costs nothing, and a large element in a row does not blot out its neighbours. A group's sum of products stays below
/// 2^31 (32 · 128 · 32767).
/// <list type="table">
/// <listheader><term>place, in 32-bit integers</term><description>content</description></listheader>
/// <item><term>several tokens: tile · 64 G + pair · 4 + token mod 4</term><description>columns 2 pair (lower half) and 2 pair + 1; G groups of 32 columns</description></item>
/// <item><term>one token: pair</term><description>the same</description></item>
/// <item><term>behind all tiles: token</term><description>the bits of s, f32</description></item>
/// </list>
/// Columns and tokens that do not exist are zero. Rounding is to nearest, ties to even. A token with an element that is not finite has the scale
/// NaN, so that its results are NaN.
/// </summary>
internal static class Int16Activations
{
    private const float Largest = 32767f;
    private const int GroupPairs = PackedLayout.GroupColumns / 2;

    /// <summary>Length of X laid out, in integers.</summary>
    public static long Integers(int tokens, int columns)
    {
        long padded = tokens == 1 ? 1 : (long)PackedLayout.Tiles(tokens) * PackedLayout.TileTokens;
        return checked((padded * PackedLayout.Groups(columns) * GroupPairs) + padded);
    }

    /// <summary>Integers of one tile.</summary>
    public static int TileIntegers(int groups, int tokens) => groups * GroupPairs * (tokens == 1 ? 1 : PackedLayout.TileTokens);

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
        Span<int> scales = packed.Slice(PackedLayout.Tiles(tokens) * integers, PackedLayout.Tiles(tokens) * width);
        target.Clear();
        for (int t = 0; t < width; t++)
        {
            int token = (tile * width) + t;
            scales[token] = 0;
            if (token < tokens)
            {
                float scale = PackRow(x.Slice(token * columns, columns), target, width, t);
                scales[token] = BitConverter.SingleToInt32Bits(scale);
            }
        }
    }

    private static float PackRow(ReadOnlySpan<float> row, Span<int> target, int width, int t)
    {
        float maximum = Magnitude.Max(row);
        if (!float.IsFinite(maximum))
        {
            return float.NaN;
        }

        float inverse = maximum == 0 ? 0 : Largest / maximum;
        if (!float.IsFinite(inverse))
        {
            return 0; // subnormal all over: as good as zero
        }

        // Eight columns are four pairs: neighbours stay together when 32-bit lanes are cut to their lower halves.
        int k = 0;
        Vector256<int> low = Vector256.Create(0xFFFF);
        Span<int> eight = stackalloc int[8];
        for (; k + 8 <= row.Length; k += 8)
        {
            Vector256<int> q = Vector256.ConvertToInt32Native(Vector256.Round(Vector256.Create(row.Slice(k, 8)) * inverse));
            (q & low).CopyTo(eight);
            Span<int> pairs = target[((k / 2 * width) + t)..];
            pairs[0] = eight[0] | (eight[1] << 16);
            pairs[width] = eight[2] | (eight[3] << 16);
            pairs[2 * width] = eight[4] | (eight[5] << 16);
            pairs[3 * width] = eight[6] | (eight[7] << 16);
        }

        for (; k < row.Length; k++)
        {
            int q = (int)MathF.Round(row[k] * inverse) & 0xFFFF;
            target[(k / 2 * width) + t] |= q << (16 * (k % 2));
        }

        return maximum / Largest;
    }
}
