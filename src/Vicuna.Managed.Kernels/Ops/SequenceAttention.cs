using System.Numerics.Tensors;
using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Causal attention of one head over one whole sequence, without a cache, and its gradient: what training computes. P = softmax(scale · Q · Kᵀ), O = P · V.
/// P is made for some rows at a time, and made again for the gradient.
/// </summary>
internal static class SequenceAttention
{
    // Rows of P at a time: whole tiles, and P of a long sequence stays in the second-level cache.
    private const int RowBlock = 8 * GemmTile.Rows;

    /// <summary>Work space of both directions, in f32 elements.</summary>
    /// <param name="length">Tokens of the longest sequence, dimensionless.</param>
    /// <param name="headDim">Elements of a head, dimensionless.</param>
    public static int ScratchElements(int length, int headDim)
    {
        int products = Math.Max(
            SmallGemm.ScratchElements(RowBlock, length, headDim),
            Math.Max(SmallGemm.ScratchElements(RowBlock, headDim, length), SmallGemm.ScratchElements(length, headDim, RowBlock)));
        return checked((2 * RowBlock * length) + products);
    }

    /// <summary>O = softmax(scale · Q · Kᵀ) · V.</summary>
    /// <param name="head">Q, K and V of the head.</param>
    /// <param name="output">O, f32 <c>[length, head.QueryStride]</c>, of which <c>[length, d]</c> is written.</param>
    /// <param name="scratch">Work space, f32 <c>[ScratchElements]</c>.</param>
    public static void Forward<TIsa>(SequenceHead head, Span<float> output, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        for (int row = 0; row < head.Length; row += RowBlock)
        {
            int rows = Math.Min(RowBlock, head.Length - row);
            int first = head.FirstKey(row);
            int keys = row + rows - first;
            Span<float> p = scratch[..(rows * keys)];
            Span<float> rest = scratch[p.Length..];
            Probabilities<TIsa>(head, row, rows, first, keys, p, rest);
            SmallGemm.Multiply<TIsa>(
                GemmOperand.Rows(p, keys), GemmOperand.Columns(head.Values[(first * head.KeyStride)..], head.KeyStride),
                rows, head.HeadDim, keys, output[(row * head.QueryStride)..], head.QueryStride, add: false, rest);
        }
    }

    /// <summary>Adds the gradients of Q, K and V.</summary>
    /// <param name="head">Q, K and V of the head.</param>
    /// <param name="outputGradient">dO, f32 <c>[length, head.QueryStride]</c>, of which <c>[length, d]</c> is read.</param>
    /// <param name="queryGradient">f32 <c>[length, head.QueryStride]</c>; dQ is added to <c>[length, d]</c> of it.</param>
    /// <param name="keyGradient">f32 <c>[length, head.QueryStride]</c>; dK is added to <c>[length, d]</c> of it.</param>
    /// <param name="valueGradient">f32 <c>[length, head.QueryStride]</c>; dV is added to <c>[length, d]</c> of it.</param>
    /// <param name="scratch">Work space, f32 <c>[ScratchElements]</c>.</param>
    public static void Backward<TIsa>(
        SequenceHead head, ReadOnlySpan<float> outputGradient, Span<float> queryGradient, Span<float> keyGradient, Span<float> valueGradient, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        int d = head.HeadDim;
        int stride = head.QueryStride;
        for (int row = 0; row < head.Length; row += RowBlock)
        {
            int rows = Math.Min(RowBlock, head.Length - row);
            int first = head.FirstKey(row);
            int keys = row + rows - first;
            Span<float> p = scratch[..(rows * keys)];
            Span<float> dp = scratch.Slice(p.Length, rows * keys);
            Span<float> rest = scratch[(2 * p.Length)..];
            ReadOnlySpan<float> values = head.Values[(first * head.KeyStride)..];
            ReadOnlySpan<float> gradient = outputGradient[(row * stride)..];
            Probabilities<TIsa>(head, row, rows, first, keys, p, rest);
            SmallGemm.Multiply<TIsa>( // dV += Pᵀ · dO
                GemmOperand.Columns(p, keys), GemmOperand.Columns(gradient, stride), keys, d, rows, valueGradient[(first * stride)..], stride, add: true, rest);
            SmallGemm.Multiply<TIsa>( // dP = dO · Vᵀ
                GemmOperand.Rows(gradient, stride), GemmOperand.Rows(values, head.KeyStride), rows, keys, d, dp, keys, add: false, rest);
            for (int i = 0; i < rows; i++)
            {
                // dS = scale · P · (dP - Σ P · dP)
                Span<float> line = dp.Slice(i * keys, keys);
                ReadOnlySpan<float> probabilities = p.Slice(i * keys, keys);
                TensorPrimitives.Subtract(line, TensorPrimitives.Dot(line, probabilities), line);
                TensorPrimitives.Multiply(line, probabilities, line);
                TensorPrimitives.Multiply(line, head.Scale, line);
            }

            SmallGemm.Multiply<TIsa>( // dQ += dS · K
                GemmOperand.Rows(dp, keys), GemmOperand.Columns(head.Keys[(first * head.KeyStride)..], head.KeyStride),
                rows, d, keys, queryGradient[(row * stride)..], stride, add: true, rest);
            SmallGemm.Multiply<TIsa>( // dK += dSᵀ · Q
                GemmOperand.Columns(dp, keys), GemmOperand.Columns(head.Queries[(row * stride)..], stride),
                keys, d, rows, keyGradient[(first * stride)..], stride, add: true, rest);
        }
    }

    // Rows row to row + rows - 1 of P over keys first to first + keys - 1; zero where a row does not attend.
    private static void Probabilities<TIsa>(SequenceHead head, int row, int rows, int first, int keys, Span<float> p, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        SmallGemm.Multiply<TIsa>(
            GemmOperand.Rows(head.Queries[(row * head.QueryStride)..], head.QueryStride), GemmOperand.Rows(head.Keys[(first * head.KeyStride)..], head.KeyStride),
            rows, keys, head.HeadDim, p, keys, add: false, scratch);
        for (int i = 0; i < rows; i++)
        {
            Span<float> line = p.Slice(i * keys, keys);
            int start = head.FirstKey(row + i) - first;
            Span<float> seen = line[start..(row + i + 1 - first)];
            line[..start].Clear();
            line[(start + seen.Length)..].Clear();
            TensorPrimitives.Multiply(seen, head.Scale, seen);
            TensorPrimitives.Subtract(seen, TensorPrimitives.Max(seen), seen);
            TensorPrimitives.Exp(seen, seen);
            TensorPrimitives.Multiply(seen, 1f / TensorPrimitives.Sum(seen), seen);
        }
    }
}
