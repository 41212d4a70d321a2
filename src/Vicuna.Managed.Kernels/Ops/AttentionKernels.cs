using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// The inner loops of attention. Every element of a result is one chain of fused products in a fixed order, whatever the width of the vectors
/// and the number of rows, so that all variants give the same bits.
/// </summary>
internal static partial class AttentionKernels
{
    private const int Positions = KvShape.PagePositions;

    /// <summary>Widens stored elements.</summary>
    /// <param name="source">Elements without their scales, bytes <c>[n · ElementBytes]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>, n a multiple of 16.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Widen<TElement, TIsa>(ReadOnlySpan<byte> source, Span<float> destination)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        if (destination.Length % 16 != 0 || source.Length != destination.Length * new KvShape(1, 1, 1, TElement.Type).ElementBytes)
        {
            throw new ArgumentException($"{source.Length} bytes are not {destination.Length} elements.", nameof(source));
        }

        ref byte from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(destination);
        // Both hold a multiple of 16 elements: every step lies inside.
        for (nuint i = 0; i < (nuint)destination.Length; i += 16)
        {
            if (typeof(TIsa) == typeof(Avx512))
            {
                TElement.Load512(ref from, i).StoreUnsafe(ref to, i);
            }
            else if (typeof(TIsa) == typeof(Avx2))
            {
                TElement.Load256(ref from, i).StoreUnsafe(ref to, i);
                TElement.Load256(ref from, i + 8).StoreUnsafe(ref to, i + 8);
            }
            else
            {
                for (nuint j = i; j < i + 16; j++)
                {
                    Unsafe.Add(ref to, j) = TElement.Load(ref from, j);
                }
            }
        }
    }

    /// <summary>Scores of a tile of queries: Σ over i of query[i] · key[i, p], unscaled.</summary>
    /// <param name="queries">f32 <c>[d, Tile]</c>; for one row <c>[d]</c>.</param>
    /// <param name="count">Rows, 1 to the tile's size.</param>
    /// <param name="keys">Elements <c>[d, PagePositions]</c>.</param>
    /// <param name="headDim">d, elements per head.</param>
    /// <param name="scores">f32 <c>[Tile, PagePositions]</c>.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void Scores<TElement, TIsa>(ReadOnlySpan<float> queries, int count, ReadOnlySpan<byte> keys, int headDim, Span<float> scores)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        int rows = count == 1 ? 1 : AttentionRows.Tile;
        Require(queries.Length >= rows * headDim && scores.Length >= rows * Positions);
        Require(keys.Length == (long)headDim * Positions * new KvShape(1, 1, 1, TElement.Type).ElementBytes);
        ref float q = ref MemoryMarshal.GetReference(queries);
        ref byte k = ref MemoryMarshal.GetReference(keys);
        ref float s = ref MemoryMarshal.GetReference(scores);
        nuint d = (nuint)headDim;
        if (typeof(TIsa) == typeof(Avx512))
        {
            if (rows == 1)
            {
                ScoresOfRow512<TElement>(ref q, ref k, d, ref s);
            }
            else
            {
                ScoresOfTile512<TElement>(ref q, ref k, d, ref s);
            }
        }
        else if (typeof(TIsa) == typeof(Avx2))
        {
            if (rows == 1)
            {
                ScoresOfRow256<TElement>(ref q, ref k, d, ref s);
            }

            for (nuint p = 0; rows > 1 && p < Positions; p += 16)
            {
                ScoresOfTile256<TElement>(ref q, ref k, d, p, ref s);
            }
        }
        else
        {
            scores[..(rows * Positions)].Clear();
            for (nuint i = 0; i < d; i++)
            {
                for (nuint at = 0; at < (nuint)(rows * Positions); at++)
                {
                    float query = Unsafe.Add(ref q, (i * (nuint)rows) + (at / Positions));
                    Unsafe.Add(ref s, at) = MathF.FusedMultiplyAdd(query, TElement.Load(ref k, (i * Positions) + (at % Positions)), Unsafe.Add(ref s, at));
                }
            }
        }
    }

    /// <summary>output += Σ over positions of weight[p] · value[p], for one row.</summary>
    /// <param name="weights">f32 <c>[PagePositions]</c>.</param>
    /// <param name="values">Elements <c>[PagePositions, d]</c>.</param>
    /// <param name="from">First position.</param>
    /// <param name="to">Position after the last.</param>
    /// <param name="headDim">d, elements per head.</param>
    /// <param name="output">f32 <c>[d]</c>.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void AddRow<TElement, TIsa>(ReadOnlySpan<float> weights, ReadOnlySpan<byte> values, int from, int to, int headDim, Span<float> output)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        CheckSum<TElement>(weights, values, from, to, headDim, output, 1);
        ref float w = ref MemoryMarshal.GetReference(weights);
        ref byte v = ref MemoryMarshal.GetReference(values);
        ref float y = ref MemoryMarshal.GetReference(output);
        nuint i = 0;
        if (typeof(TIsa) == typeof(Avx512))
        {
            i = AddRow512<TElement>(ref w, ref v, (nuint)from, (nuint)to, (nuint)headDim, ref y);
        }

        if (typeof(TIsa) != typeof(Scalar))
        {
            i = AddRow256<TElement>(ref w, ref v, (nuint)from, (nuint)to, (nuint)headDim, i, ref y);
        }

        AddRest<TElement>(ref w, ref v, (nuint)from, (nuint)to, (nuint)headDim, i, ref y);
    }

    /// <summary>output += Σ over positions of weight[p] · value[p], for a tile of rows.</summary>
    /// <param name="weights">f32 <c>[Tile, PagePositions]</c>.</param>
    /// <param name="values">Elements <c>[PagePositions, d]</c>.</param>
    /// <param name="from">First position.</param>
    /// <param name="to">Position after the last.</param>
    /// <param name="headDim">d, elements per head.</param>
    /// <param name="output">f32 <c>[Tile, d]</c>.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void AddTile<TElement, TIsa>(ReadOnlySpan<float> weights, ReadOnlySpan<byte> values, int from, int to, int headDim, Span<float> output)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        CheckSum<TElement>(weights, values, from, to, headDim, output, AttentionRows.Tile);
        ref float w = ref MemoryMarshal.GetReference(weights);
        ref byte v = ref MemoryMarshal.GetReference(values);
        ref float y = ref MemoryMarshal.GetReference(output);
        nuint i = 0;
        if (typeof(TIsa) == typeof(Avx512))
        {
            i = AddTile512<TElement>(ref w, ref v, (nuint)from, (nuint)to, (nuint)headDim, ref y);
        }

        if (typeof(TIsa) != typeof(Scalar))
        {
            i = AddTile256<TElement>(ref w, ref v, (nuint)from, (nuint)to, (nuint)headDim, i, ref y);
        }

        for (nuint row = 0; row < AttentionRows.Tile; row++)
        {
            AddRest<TElement>(ref Unsafe.Add(ref w, row * Positions), ref v, (nuint)from, (nuint)to, (nuint)headDim, i, ref Unsafe.Add(ref y, row * (nuint)headDim));
        }
    }

    private static void CheckSum<TElement>(ReadOnlySpan<float> weights, ReadOnlySpan<byte> values, int from, int to, int headDim, Span<float> output, int rows)
        where TElement : struct, IKvElement
    {
        Require(from >= 0 && from <= to && to <= Positions);
        Require(weights.Length >= rows * Positions && output.Length >= rows * headDim);
        Require(values.Length == (long)headDim * Positions * new KvShape(1, 1, 1, TElement.Type).ElementBytes);
    }

    // Columns from i on, one by one.
    private static void AddRest<TElement>(ref float w, ref byte v, nuint from, nuint to, nuint d, nuint i, ref float y)
        where TElement : struct, IKvElement
    {
        for (; i < d; i++)
        {
            float sum = Unsafe.Add(ref y, i);
            for (nuint p = from; p < to; p++)
            {
                sum = MathF.FusedMultiplyAdd(Unsafe.Add(ref w, p), TElement.Load(ref v, (p * d) + i), sum);
            }

            Unsafe.Add(ref y, i) = sum;
        }
    }

    private static void Require(bool holds)
    {
        if (!holds)
        {
            throw new ArgumentException("Queries, keys, values, scores and results do not fit together.");
        }
    }
}
