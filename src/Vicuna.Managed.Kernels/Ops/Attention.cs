using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Scaled dot-product attention of one token's query heads over one page of keys and values, with a running maximum and sum
/// (Milakov and Gimelshein 2018), so that the context is read once and no row of scores is kept. Pages begin at fixed positions: the order of
/// all sums depends on the token's position alone, not on how the prompt was cut into chunks.
/// </summary>
internal static class Attention
{
    /// <summary>Work space of <see cref="AddPage"/>, in f32 elements.</summary>
    /// <param name="group">Query heads that share one K and V head, dimensionless.</param>
    public static int ScoreElements(int group) => checked(group * KvShape.PagePositions);

    /// <summary>Takes one page into the running result of a group of query heads.</summary>
    /// <param name="queries">f32 <c>[G, d]</c>: the query heads that share this K and V head.</param>
    /// <param name="keys">f32 <c>[n, d]</c>, n up to <see cref="KvShape.PagePositions"/>.</param>
    /// <param name="values">f32 <c>[n, d]</c>.</param>
    /// <param name="scale">Factor of the scores, dimensionless: 1/√d.</param>
    /// <param name="maxima">Running maximum of each head's scores, f32 <c>[G]</c>, -∞ at first.</param>
    /// <param name="sums">Running sum of e^(score - maximum), f32 <c>[G]</c>, 0 at first.</param>
    /// <param name="output">Running Σ e^(score - maximum) · value, f32 <c>[G, d]</c>, 0 at first.</param>
    /// <param name="scores">Work space, f32 <c>[ScoreElements]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void AddPage<TIsa>(
        ReadOnlySpan<float> queries,
        ReadOnlySpan<float> keys,
        ReadOnlySpan<float> values,
        float scale,
        Span<float> maxima,
        Span<float> sums,
        Span<float> output,
        Span<float> scores)
        where TIsa : struct, IIsa
    {
        int group = maxima.Length;
        int headDim = queries.Length / Math.Max(1, group);
        int positions = keys.Length / Math.Max(1, headDim);
        if (headDim == 0 || queries.Length != group * headDim || keys.Length != positions * headDim || keys.Length != values.Length
            || positions is 0 or > KvShape.PagePositions || output.Length != queries.Length || sums.Length != group)
        {
            throw new ArgumentException($"Queries [{queries.Length}], keys [{keys.Length}], values [{values.Length}], output [{output.Length}] of {group} heads do not fit together.");
        }

        RowMajor.Multiply<F32, TIsa>(MemoryMarshal.AsBytes(keys), positions, headDim, queries, group, scores, KvShape.PagePositions, []);
        for (int head = 0; head < group; head++)
        {
            Span<float> score = scores.Slice(head * KvShape.PagePositions, positions);
            Span<float> result = output.Slice(head * headDim, headDim);
            float maximum = MathF.Max(maxima[head], Traversals.Reduce<MaxReduction, TIsa>(score) * scale);
            float correction = VectorMath.Exp(maxima[head] - maximum);
            Traversals.Map<ExpOfDifference, TIsa>(score, score, new ExpOfDifference(scale, maximum));
            sums[head] = (sums[head] * correction) + Traversals.Reduce<SumReduction, TIsa>(score);
            maxima[head] = maximum;
            AddWeighted<TIsa>(score, values, correction, result);
        }
    }

    /// <summary>Ends a running result: divides every head by its sum.</summary>
    /// <param name="sums">f32 <c>[G]</c>.</param>
    /// <param name="output">f32 <c>[G, d]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Finish<TIsa>(ReadOnlySpan<float> sums, Span<float> output)
        where TIsa : struct, IIsa
    {
        int headDim = output.Length / Math.Max(1, sums.Length);
        if (output.Length != sums.Length * headDim)
        {
            throw new ArgumentException($"Output [{output.Length}] is not {sums.Length} heads.", nameof(output));
        }

        for (int head = 0; head < sums.Length; head++)
        {
            Span<float> result = output.Slice(head * headDim, headDim);
            Traversals.Map<Scale, TIsa>(result, result, new Scale(1f / sums[head]));
        }
    }

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

    // result = result · correction + Σ weight[p] · values[p]: for each element one chain of fused products in order of p, at every width.
    private static void AddWeighted<TIsa>(ReadOnlySpan<float> weights, ReadOnlySpan<float> values, float correction, Span<float> result)
        where TIsa : struct, IIsa
    {
        ref float w = ref MemoryMarshal.GetReference(weights);
        ref float v = ref MemoryMarshal.GetReference(values);
        ref float y = ref MemoryMarshal.GetReference(result);
        nuint positions = (nuint)weights.Length;
        nuint width = (nuint)result.Length;
        nuint i = 0;
        // values holds positions · width elements (AddPage has checked it), and i + lanes is at most width: every load lies inside.
        if (typeof(TIsa) == typeof(Avx512))
        {
            for (; i + 16 <= width; i += 16)
            {
                Vector512<float> sum = Vector512.LoadUnsafe(ref y, i) * Vector512.Create(correction);
                for (nuint p = 0; p < positions; p++)
                {
                    sum = Vector512.FusedMultiplyAdd(Vector512.Create(Unsafe.Add(ref w, p)), Vector512.LoadUnsafe(ref v, (p * width) + i), sum);
                }

                sum.StoreUnsafe(ref y, i);
            }
        }
        else if (typeof(TIsa) == typeof(Avx2))
        {
            for (; i + 8 <= width; i += 8)
            {
                Vector256<float> sum = Vector256.LoadUnsafe(ref y, i) * Vector256.Create(correction);
                for (nuint p = 0; p < positions; p++)
                {
                    sum = Vector256.FusedMultiplyAdd(Vector256.Create(Unsafe.Add(ref w, p)), Vector256.LoadUnsafe(ref v, (p * width) + i), sum);
                }

                sum.StoreUnsafe(ref y, i);
            }
        }

        for (; i < width; i++)
        {
            float sum = Unsafe.Add(ref y, i) * correction;
            for (nuint p = 0; p < positions; p++)
            {
                sum = MathF.FusedMultiplyAdd(Unsafe.Add(ref w, p), Unsafe.Add(ref v, (p * width) + i), sum);
            }

            Unsafe.Add(ref y, i) = sum;
        }
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
}
