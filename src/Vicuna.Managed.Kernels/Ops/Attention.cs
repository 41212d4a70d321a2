using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Scaled dot-product attention of query rows over one page of keys and values, with a running maximum and sum (Milakov and Gimelshein 2018), so
/// that the context is read once. Pages begin at fixed positions, every score is one chain of fused products over the head's
/// elements and every result one over the positions in order: a row's bits depend on its token's position alone, not on the rows beside it, on
/// how the prompt was cut, or on the tier but for the sum of the weights.
/// </summary>
internal static class Attention
{
    // Rows from which a page of a narrow type is widened once instead of once per tile.
    private const int WidenFrom = 3 * AttentionRows.Tile;

    /// <summary>Takes one page into the running results.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="keys">A run of keys as stored, bytes <c>[RunBytes]</c>; positions that no row sees may hold anything.</param>
    /// <param name="values">A run of values as stored, bytes <c>[RunBytes]</c>; positions that a row does not see are not read for it.</param>
    /// <param name="pageStart">Position of the page's first element.</param>
    /// <param name="window">Positions that a token sees, itself included.</param>
    /// <param name="scale">Factor of the scores, dimensionless: 1/√d.</param>
    /// <param name="mayHoldNaN">Whether halves among keys and values may be NaN, as what <see cref="KvStore.Store"/> returned tells.</param>
    /// <exception cref="ArgumentException">The runs do not have the size of a page.</exception>
    public static void AddPage<TElement, TIsa>(
        AttentionRows rows, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int pageStart, int window, float scale, bool mayHoldNaN)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        KvShape shape = new(1, 1, rows.HeadDim, TElement.Type);
        if (keys.Length != shape.RunBytes || values.Length != shape.RunBytes)
        {
            throw new ArgumentException($"Keys [{keys.Length}] and values [{values.Length}] are not pages of {shape.RunBytes} bytes.", nameof(keys));
        }

        Page page = new()
        {
            Start = pageStart,
            Window = window,
            Scale = scale,
            KeyScales = MemoryMarshal.Cast<byte, float>(keys[..(KvShape.PagePositions * shape.ScaleBytes)]),
            ValueScales = MemoryMarshal.Cast<byte, float>(values[..(KvShape.PagePositions * shape.ScaleBytes)]),
            Keys = keys[(KvShape.PagePositions * shape.ScaleBytes)..],
            Values = values[(KvShape.PagePositions * shape.ScaleBytes)..],
        };
        bool direct = rows.Count < WidenFrom;
        if (typeof(TElement) == typeof(KvElementF16) && direct && !mayHoldNaN && rows.QueriesAreScalable)
        {
            AddTiles<KvElementPlacedF16, TIsa>(rows, page);
            return;
        }

        if (typeof(TElement) == typeof(KvElementF32) || (typeof(TElement) == typeof(KvElementQ8) && direct))
        {
            AddTiles<TElement, TIsa>(rows, page);
            return;
        }

        AttentionKernels.Widen<TElement, TIsa>(page.Keys, rows.WideKeys);
        AttentionKernels.Widen<TElement, TIsa>(page.Values, rows.WideValues);
        page.Keys = MemoryMarshal.AsBytes(rows.WideKeys);
        page.Values = MemoryMarshal.AsBytes(rows.WideValues);
        AddTiles<KvElementF32, TIsa>(rows, page);
    }

    /// <summary>Ends a running result: divides a row by its sum.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="row">Row number.</param>
    /// <param name="destination">f32 <c>[d]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Finish<TIsa>(AttentionRows rows, int row, Span<float> destination)
        where TIsa : struct, IIsa =>
        Traversals.Map<Scale, TIsa>(rows.Output.Slice(row * rows.HeadDim, rows.HeadDim), destination, new Scale(1f / rows.Sums[row]));

    /// <summary>The same for one head in f64, plainly written: what the running form is tested against.</summary>
    /// <param name="query">f32 <c>[d]</c>.</param>
    /// <param name="keys">f32 <c>[n, d]</c>.</param>
    /// <param name="values">f32 <c>[n, d]</c>.</param>
    /// <param name="scale">Factor of the scores, dimensionless.</param>
    /// <param name="output">f64 <c>[d]</c>.</param>
    public static void Reference(ReadOnlySpan<float> query, ReadOnlySpan<float> keys, ReadOnlySpan<float> values, double scale, Span<double> output)
    {
        int headDim = query.Length;
        double[] weights = new double[keys.Length / headDim];
        for (int p = 0; p < weights.Length; p++)
        {
            for (int i = 0; i < headDim; i++)
            {
                weights[p] += (double)query[i] * keys[(p * headDim) + i] * scale;
            }
        }

        double maximum = weights.Max();
        double sum = weights.Sum(w => Math.Exp(w - maximum));
        output.Clear();
        for (int p = 0; p < weights.Length; p++)
        {
            for (int i = 0; i < headDim; i++)
            {
                output[i] += Math.Exp(weights[p] - maximum) / sum * values[(p * headDim) + i];
            }
        }
    }

    private static void AddTiles<TElement, TIsa>(AttentionRows rows, Page page)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        for (int first = 0; first < rows.Count; first += AttentionRows.Tile)
        {
            int count = Math.Min(AttentionRows.Tile, rows.Count - first);
            // Positions grow with the rows: what all see lies between the first position of the last row and the last of the first.
            (int firstFrom, int firstTo) = page.Visible(rows.Positions[first]);
            (int lastFrom, int lastTo) = page.Visible(rows.Positions[first + count - 1]);
            if (firstFrom >= KvShape.PagePositions || lastTo <= 0)
            {
                continue;
            }

            Span<float> queries = rows.Queries.Slice(first * rows.HeadDim, (count == 1 ? 1 : AttentionRows.Tile) * rows.HeadDim);
            if (TElement.Factor != 1)
            {
                Span<float> scaled = rows.WideKeys[..queries.Length];
                Traversals.Map<Scale, TIsa>(queries, scaled, new Scale(TElement.Factor));
                queries = scaled;
            }

            AttentionKernels.Scores<TElement, TIsa>(queries, count, page.Keys, rows.HeadDim, rows.Scores);
            for (int i = 0; i < count; i++)
            {
                Span<float> score = rows.Scores.Slice(i * KvShape.PagePositions, KvShape.PagePositions);
                WeighRow<TIsa>(rows, first + i, score, page);
                if (TElement.Factor != 1)
                {
                    Traversals.Map<Scale, TIsa>(score, score, new Scale(TElement.Factor));
                }
            }

            Span<float> output = rows.Output[(first * rows.HeadDim)..];
            if (count == 1)
            {
                AttentionKernels.AddRow<TElement, TIsa>(rows.Scores, page.Values, firstFrom, firstTo, rows.HeadDim, output);
                continue;
            }

            int from = Math.Clamp(lastFrom, 0, KvShape.PagePositions);
            int to = Math.Max(from, firstTo);
            AddSingly<TElement, TIsa>(rows, first, count, page, 0, from);
            if (to > from)
            {
                AttentionKernels.AddTile<TElement, TIsa>(rows.Scores, page.Values, from, to, rows.HeadDim, output);
            }

            AddSingly<TElement, TIsa>(rows, first, count, page, to, KvShape.PagePositions);
        }
    }

    // Positions that not all rows of a tile see.
    private static void AddSingly<TElement, TIsa>(AttentionRows rows, int first, int count, Page page, int from, int to)
        where TElement : struct, IKvElement
        where TIsa : struct, IIsa
    {
        for (int i = 0; i < count; i++)
        {
            (int visibleFrom, int visibleTo) = page.Visible(rows.Positions[first + i]);
            int start = Math.Max(from, visibleFrom);
            int end = Math.Min(to, visibleTo);
            if (start < end)
            {
                Span<float> output = rows.Output[((first + i) * rows.HeadDim)..];
                AttentionKernels.AddRow<TElement, TIsa>(rows.Scores[(i * KvShape.PagePositions)..], page.Values, start, end, rows.HeadDim, output);
            }
        }
    }

    // Scores of a page become weights; what the row has so far is brought to the new maximum.
    private static void WeighRow<TIsa>(AttentionRows rows, int row, Span<float> score, Page page)
        where TIsa : struct, IIsa
    {
        (int from, int to) = page.Visible(rows.Positions[row]);
        if (from >= to)
        {
            return;
        }

        if (page.KeyScales.Length > 0)
        {
            Traversals.Zip<Product, TIsa>(score, page.KeyScales, score, default);
        }

        score[..from].Fill(float.NegativeInfinity);
        score[to..].Fill(float.NegativeInfinity);
        float maximum = MathF.Max(rows.Maxima[row], Traversals.Reduce<MaxReduction, TIsa>(score) * page.Scale);
        if (maximum == float.NegativeInfinity)
        {
            score.Clear();
            return;
        }

        if (maximum != rows.Maxima[row])
        {
            float correction = VectorMath.Exp(rows.Maxima[row] - maximum);
            Span<float> output = rows.Output.Slice(row * rows.HeadDim, rows.HeadDim);
            Traversals.Map<Scale, TIsa>(output, output, new Scale(correction));
            rows.Sums[row] *= correction;
            rows.Maxima[row] = maximum;
        }

        Traversals.Map<ExpOfDifference, TIsa>(score, score, new ExpOfDifference(page.Scale, maximum));
        rows.Sums[row] += Traversals.Reduce<SumReduction, TIsa>(score);
        if (page.ValueScales.Length > 0)
        {
            Traversals.Zip<Product, TIsa>(score, page.ValueScales, score, default);
        }
    }

    private ref struct Page
    {
        public int Start;
        public int Window;
        public float Scale;
        public ReadOnlySpan<float> KeyScales;
        public ReadOnlySpan<float> ValueScales;
        public ReadOnlySpan<byte> Keys;
        public ReadOnlySpan<byte> Values;

        /// <summary>The positions of the page that a token sees; none if from is not below to.</summary>
        public readonly (int From, int To) Visible(int position) => (
            (int)Math.Clamp((long)position - Window + 1 - Start, 0, KvShape.PagePositions),
            Math.Clamp(position + 1 - Start, 0, KvShape.PagePositions));
    }

    private readonly struct ExpOfDifference(float scale, float maximum) : IUnaryOperator
    {
        private readonly float _scale = scale;
        private readonly float _maximum = maximum;

        public float Invoke(float x) => VectorMath.Exp((x * _scale) - _maximum);

        public Vector256<float> Invoke(Vector256<float> x) => VectorMath.Exp((x * Vector256.Create(_scale)) - Vector256.Create(_maximum));

        public Vector512<float> Invoke(Vector512<float> x) => VectorMath.Exp((x * Vector512.Create(_scale)) - Vector512.Create(_maximum));
    }

    private readonly struct Scale(float factor) : IUnaryOperator
    {
        private readonly float _factor = factor;

        public float Invoke(float x) => x * _factor;

        public Vector256<float> Invoke(Vector256<float> x) => x * Vector256.Create(_factor);

        public Vector512<float> Invoke(Vector512<float> x) => x * Vector512.Create(_factor);
    }

    private readonly struct Product : IBinaryOperator
    {
        public float Invoke(float x, float y) => x * y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x * y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x * y;
    }
}
