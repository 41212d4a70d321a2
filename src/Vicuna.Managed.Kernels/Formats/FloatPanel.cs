using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Y = X · Wᵀ for many tokens and weights that widen to f32. Both operands are laid out so that a tile of <see cref="RowTile"/> rows and
/// <see cref="TokenTile"/> tokens reads each of them as one stream: row-major rows of a power-of-two length would all fall into the same cache sets.
/// The columns are taken in pieces that fit the first-level cache, with the accumulators kept in memory between pieces. Every (row, token) pair has
/// the one accumulator, column order and horizontal sum that <see cref="RowMajor"/> has: the two give the same bits.
/// <list type="table">
/// <listheader><term>what</term><description>layout; L is <see cref="Width{TIsa}"/>, K the columns</description></listheader>
/// <item><term>X</term><description><c>[⌈tokens/6⌉, K/L, 6, L]</c>, then the columns left over, <c>[tokens, K mod L]</c></description></item>
/// <item><term>W</term><description><c>[⌈rows/4⌉, K/L, 4, L]</c>, in scratch, then the columns left over, <c>[rows, K mod L]</c></description></item>
/// </list>
/// </summary>
internal static partial class FloatPanel
{
    /// <summary>Rows of W in a tile.</summary>
    public const int RowTile = 4;

    /// <summary>Tokens in a tile.</summary>
    public const int TokenTile = 6;

    /// <summary>Tokens from which laying W out pays.</summary>
    public const int MinTokens = 12;

    /// <summary>Rows that are widened together: their copies stay in the second-level cache while all tokens pass.</summary>
    public const int RowGroup = 16;

    // Columns of a piece. Longer ones save loads and stores of the accumulators, and stream from the second-level cache; measured best of 512 to 4096.
    private const int ColumnPiece = 2048;

    private const int CacheLine = 64;

    private const int StateElements = RowGroup / RowTile * RowTile * TokenTile * 16;

    /// <summary>Floats in a vector of the tier.</summary>
    public static int Width<TIsa>()
        where TIsa : struct, IIsa => typeof(TIsa) == typeof(Avx512) ? 16 : 8;

    /// <summary>Elements of X laid out, at every tier.</summary>
    public static long PackedElements(int tokens, int columns) => checked((tokens + TokenTile - 1L) / TokenTile * TokenTile * (columns + 16L));

    /// <summary>Work space of <see cref="Multiply"/>, in f32 elements.</summary>
    public static int ScratchElements(int columns) => checked((RowGroup * columns) + StateElements + columns);

    /// <summary>Lays out one tile of tokens.</summary>
    /// <param name="x">X, f32 <c>[tokens, columns]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="columns">Columns of X, dimensionless.</param>
    /// <param name="tile">Which tile, from 0.</param>
    /// <param name="scale">Factor of every element, a power of two.</param>
    /// <param name="packed">X laid out, f32 <c>[PackedElements]</c>.</param>
    public static void PackTile<TIsa>(ReadOnlySpan<float> x, int tokens, int columns, int tile, float scale, Span<float> packed)
        where TIsa : struct, IIsa
    {
        int width = Width<TIsa>();
        int tail = columns % width;
        int whole = columns - tail;
        int tiles = (tokens + TokenTile - 1) / TokenTile;
        Span<float> target = packed.Slice(tile * TokenTile * whole, TokenTile * whole);
        Span<float> tails = packed.Slice(tiles * TokenTile * whole, tokens * tail);
        for (int t = 0; t < TokenTile; t++)
        {
            int token = (tile * TokenTile) + t;
            if (token >= tokens)
            {
                for (int k = 0; k < whole; k += width)
                {
                    target.Slice((k * TokenTile) + (t * width), width).Clear();
                }

                continue;
            }

            ReadOnlySpan<float> row = x.Slice(token * columns, columns);
            for (int k = 0; k < whole; k += width)
            {
                Span<float> to = target.Slice((k * TokenTile) + (t * width), width);
                if (typeof(TIsa) == typeof(Avx512))
                {
                    (Vector512.Create(row.Slice(k, 16)) * scale).CopyTo(to);
                }
                else
                {
                    (Vector256.Create(row.Slice(k, 8)) * scale).CopyTo(to);
                }
            }

            for (int k = whole; k < columns; k++)
            {
                tails[(token * tail) + k - whole] = row[k] * scale;
            }
        }
    }

    /// <summary>Y = X · Wᵀ for a run of rows of W.</summary>
    /// <param name="rows">Rows of W as stored, <c>[rowCount, columns]</c>.</param>
    /// <param name="rowCount">Rows of W in this run, dimensionless.</param>
    /// <param name="columns">Columns of W and X, dimensionless.</param>
    /// <param name="packed">X laid out by <see cref="PackTile"/>, f32 <c>[PackedElements]</c>.</param>
    /// <param name="tokens">Rows of X, dimensionless.</param>
    /// <param name="destination">Y from the run's first row on, f32 <c>[tokens, destinationStride]</c>, of which <c>[tokens, rowCount]</c> is written.</param>
    /// <param name="destinationStride">Distance between two tokens in <paramref name="destination"/>, in elements.</param>
    /// <param name="scratch">Work space, f32 <c>[ScratchElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Multiply<TFormat, TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> packed,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch)
        where TFormat : struct, IWeightFormat<TFormat>
        where TIsa : struct, IIsa
    {
        int rowBytes = checked(columns / TFormat.BlockElements * TFormat.BlockBytes);
        int width = Width<TIsa>();
        int tail = columns % width;
        int whole = columns - tail;
        int tiles = (tokens + TokenTile - 1) / TokenTile;
        // What every ref below relies on.
        if (rowCount < 0 || tokens < 1 || destinationStride < rowCount
            || rows.Length < (long)rowCount * rowBytes
            || packed.Length < ((long)tiles * TokenTile * whole) + ((long)tokens * tail)
            || destination.Length < ((long)(tokens - 1) * destinationStride) + rowCount
            || scratch.Length < ScratchElements(columns))
        {
            throw new ArgumentException(
                $"W [{rowCount}, {columns}] in {rows.Length} bytes, X [{tokens}, {columns}] in {packed.Length} elements and Y [{tokens}, {destinationStride}] in {destination.Length} do not fit together.");
        }

        Span<float> panel = scratch[..(RowGroup * whole)];
        Span<float> panelTails = scratch.Slice(panel.Length, RowGroup * tail);
        Span<float> state = scratch.Slice(RowGroup * columns, StateElements);
        Span<float> widened = scratch.Slice((RowGroup * columns) + StateElements, columns);
        ReadOnlySpan<float> xTails = packed.Slice(tiles * TokenTile * whole, tokens * tail);
        for (int first = 0; first < rowCount; first += RowGroup)
        {
            int group = Math.Min(RowGroup, rowCount - first);
            FillPanel<TFormat, TIsa>(rows[(first * rowBytes)..], group, rowBytes, columns, panel, panelTails, widened);
            ReadOnlySpan<byte> next = rows.Slice(Math.Min(first + RowGroup, rowCount) * rowBytes, Math.Clamp(rowCount - first - RowGroup, 0, RowGroup) * rowBytes);
            int ahead = ((next.Length / tiles) + CacheLine) / CacheLine * CacheLine;
            for (int tile = 0; tile < tiles; tile++)
            {
                Prefetch(next, tile * ahead, ahead);
                AllColumns<TIsa>(panel, (group + RowTile - 1) / RowTile, packed.Slice(tile * TokenTile * whole, TokenTile * whole), whole, state);
                int firstToken = tile * TokenTile;
                int count = Math.Min(TokenTile, tokens - firstToken);
                Span<float> y = destination[((firstToken * destinationStride) + first)..];
                if (tail == 0 && group == RowGroup)
                {
                    FinishWhole<TIsa>(state, count, y[..(((count - 1) * destinationStride) + RowGroup)], destinationStride, TFormat.ResultScale);
                    continue;
                }

                for (int t = 0; t < count; t++)
                {
                    Finish<TIsa>(state, t, y.Slice(t * destinationStride, group), TFormat.ResultScale, panelTails, xTails.Slice((firstToken + t) * tail, tail));
                }
            }
        }
    }

    // The next group's weights come from memory while this one's are computed with.
    private static void Prefetch(ReadOnlySpan<byte> rows, int start, int length)
    {
        for (int at = start; at < Math.Min(start + length, rows.Length); at += CacheLine)
        {
            ProcessorHints.Prefetch(in rows[at]);
        }
    }

    private static void FillPanel<TFormat, TIsa>(
        ReadOnlySpan<byte> rows, int group, int rowBytes, int columns, Span<float> panel, Span<float> tails, Span<float> widened)
        where TFormat : struct, IWeightFormat<TFormat>
        where TIsa : struct, IIsa
    {
        int width = Width<TIsa>();
        int tail = columns % width;
        int whole = columns - tail;
        for (int row = 0; row < (group + RowTile - 1) / RowTile * RowTile; row++)
        {
            Span<float> target = whole == 0 ? [] : panel[(row / RowTile * RowTile * whole)..][(row % RowTile * width)..];
            if (row >= group)
            {
                for (int k = 0; k < whole; k += width)
                {
                    target.Slice(k * RowTile, width).Clear();
                }

                continue;
            }

            TFormat.DequantizeVector<TIsa>(rows.Slice(row * rowBytes, rowBytes), widened);
            ref float from = ref MemoryMarshal.GetReference(widened);
            ref float to = ref MemoryMarshal.GetReference(target);
            // The last vector ends at row%4·width + (whole - width)·4 + width, which is inside the tile's 4·whole elements.
            for (nuint k = 0; k < (nuint)whole; k += (nuint)width)
            {
                if (typeof(TIsa) == typeof(Avx512))
                {
                    Lanes.Store(Lanes.Load512(ref from, k), ref to, k * RowTile);
                }
                else
                {
                    Lanes.Store(Lanes.Load256(ref from, k), ref to, k * RowTile);
                }
            }

            widened[whole..columns].CopyTo(tails.Slice(row * tail, tail));
        }
    }

    // All columns of one tile of tokens against the group's rows, piece by piece.
    private static void AllColumns<TIsa>(Span<float> panel, int rowTiles, ReadOnlySpan<float> x, int whole, Span<float> state)
        where TIsa : struct, IIsa
    {
        if (whole == 0)
        {
            state.Clear();
            return;
        }

        ref float w = ref MemoryMarshal.GetReference(panel);
        ref float xs = ref MemoryMarshal.GetReference(x);
        ref float s = ref MemoryMarshal.GetReference(state);
        int width = Width<TIsa>();
        for (int k = 0; k < whole; k += ColumnPiece)
        {
            int steps = Math.Min(ColumnPiece, whole - k) / width;
            for (int tile = 0; tile < rowTiles; tile++)
            {
                ref float wTile = ref Unsafe.Add(ref w, (nuint)(tile * RowTile * whole) + (nuint)(k * RowTile));
                ref float xTile = ref Unsafe.Add(ref xs, (nuint)(k * TokenTile));
                ref float sTile = ref Unsafe.Add(ref s, (nuint)(tile * RowTile * TokenTile * width));
                if (typeof(TIsa) == typeof(Avx512))
                {
                    nuint ahead = (nuint)(steps * TokenTile * 16) + (nuint)(Math.Min(tile, 2) * steps * 32);
                    Tile512(ref wTile, ref xTile, ref sTile, steps, k == 0, ref Unsafe.Add(ref xTile, ahead));
                }
                else
                {
                    Tile256(ref wTile, ref xTile, ref sTile, steps, k == 0);
                }
            }
        }
    }

    // Horizontal sums of whole tiles. y holds (count - 1) · stride + 16 elements.
    private static void FinishWhole<TIsa>(Span<float> state, int count, Span<float> y, int stride, float resultScale)
        where TIsa : struct, IIsa
    {
        ref float s = ref MemoryMarshal.GetReference(state);
        ref float first = ref MemoryMarshal.GetReference(y);
        nuint width = (nuint)Width<TIsa>();
        for (nuint row = 0; row < RowGroup; row += RowTile)
        {
            ref float tile = ref Unsafe.Add(ref s, row * TokenTile * width);
            ref float to = ref Unsafe.Add(ref first, row);
            for (int t = 0; t < count; t++)
            {
                Lanes.Store(SumsAt<TIsa>(ref tile) * resultScale, ref to);
                tile = ref Unsafe.Add(ref tile, RowTile * width);
                to = ref Unsafe.Add(ref to, stride);
            }
        }
    }

    // The sums of the four accumulators from a place on.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> SumsAt<TIsa>(ref float s)
        where TIsa : struct, IIsa => typeof(TIsa) == typeof(Avx512)
        ? Lanes.Sums(Lanes.Load512(ref s), Lanes.Load512(ref s, 16), Lanes.Load512(ref s, 32), Lanes.Load512(ref s, 48))
        : Lanes.Sums(Lanes.Load256(ref s), Lanes.Load256(ref s, 8), Lanes.Load256(ref s, 16), Lanes.Load256(ref s, 24));

    // Horizontal sums of one token, then the columns left over, one by one.
    private static void Finish<TIsa>(Span<float> state, int token, Span<float> y, float resultScale, ReadOnlySpan<float> wTails, ReadOnlySpan<float> xTail)
        where TIsa : struct, IIsa
    {
        int width = Width<TIsa>();
        Span<float> sums = stackalloc float[RowTile];
        for (int row = 0; row < y.Length; row += RowTile)
        {
            Vector128<float> four = SumsAt<TIsa>(ref MemoryMarshal.GetReference(state[(((row * TokenTile) + (token * RowTile)) * width)..]));
            if (xTail.IsEmpty && y.Length - row >= RowTile)
            {
                (four * resultScale).CopyTo(y[row..]);
                continue;
            }

            four.CopyTo(sums);
            for (int r = 0; r < Math.Min(RowTile, y.Length - row); r++)
            {
                float sum = sums[r];
                for (int k = 0; k < xTail.Length; k++)
                {
                    sum = MathF.FusedMultiplyAdd(wTails[((row + r) * xTail.Length) + k], xTail[k], sum);
                }

                y[row + r] = sum * resultScale;
            }
        }
    }
}
