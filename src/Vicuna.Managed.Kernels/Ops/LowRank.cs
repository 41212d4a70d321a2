using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// y += scale · B·h: the second half of a low-rank change of a product (LoRA; Hu et al. 2021). B lies in blocks of <see cref="BlockRows"/> rows,
/// column after column, so that its few columns fill whole vectors. Each output has an accumulator of its own, which runs over the rank from left to
/// right in fused steps and is added to y in one more: the same bits in every tier, for any number of tokens and any run of rows.
/// </summary>
internal static class LowRank
{
    /// <summary>Rows that lie together.</summary>
    public const int BlockRows = 16;

    /// <summary>Size of a packed B, in f32 elements.</summary>
    /// <param name="rows">Rows of B, dimensionless.</param>
    /// <param name="rank">Columns of B, dimensionless.</param>
    public static long PackedElements(int rows, int rank) => checked((rows + (BlockRows - 1L)) / BlockRows * BlockRows * rank);

    /// <summary>Packs one row of B.</summary>
    /// <param name="row">f32 <c>[rank]</c>.</param>
    /// <param name="index">Its number.</param>
    /// <param name="packed">f32 <c>[blocks, rank, 16]</c>; elements of rows that are never packed stay zero.</param>
    public static void PackRow(ReadOnlySpan<float> row, int index, Span<float> packed)
    {
        Span<float> block = packed.Slice(index / BlockRows * BlockRows * row.Length, BlockRows * row.Length);
        for (int i = 0; i < row.Length; i++)
        {
            block[(i * BlockRows) + (index % BlockRows)] = row[i];
        }
    }

    /// <summary>y += scale · B·h for a run of rows of B.</summary>
    /// <param name="packed">The run's blocks, f32 <c>[blocks, rank, 16]</c>.</param>
    /// <param name="rank">Columns of B, dimensionless.</param>
    /// <param name="h">f32 <c>[tokens, rank]</c>.</param>
    /// <param name="tokens">Rows of h, dimensionless.</param>
    /// <param name="scale">Factor, dimensionless.</param>
    /// <param name="y">f32 <c>[tokens, stride]</c> from the run's first row on; the first <paramref name="rows"/> columns are added to.</param>
    /// <param name="rows">Rows of the run, dimensionless; 16 for each block, the last may have less.</param>
    /// <param name="stride">Elements from one token's outputs to the next one's.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Add<TIsa>(
        ReadOnlySpan<float> packed, int rank, ReadOnlySpan<float> h, int tokens, float scale, Span<float> y, int rows, int stride)
        where TIsa : struct, IIsa
    {
        // These checks are what every ref below relies on.
        if (rank < 0 || tokens < 0 || rows < 0 || stride < rows || packed.Length < PackedElements(rows, rank) || h.Length < (long)tokens * rank
            || (tokens > 0 && y.Length < ((tokens - 1L) * stride) + rows))
        {
            throw new ArgumentException(
                $"B [{rows}, {rank}] in {packed.Length} elements, h [{tokens}, {rank}] in {h.Length} and y [{tokens}, {stride}] in {y.Length} do not fit together.");
        }

        ref float b = ref MemoryMarshal.GetReference(packed);
        for (int token = 0; token < tokens; token++)
        {
            ref float hidden = ref Unsafe.Add(ref MemoryMarshal.GetReference(h), (nuint)token * (nuint)rank);
            ref float output = ref Unsafe.Add(ref MemoryMarshal.GetReference(y), (nuint)token * (nuint)stride);
            int row = 0;
            if (typeof(TIsa) != typeof(Scalar))
            {
                for (; row + BlockRows <= rows; row += BlockRows)
                {
                    AddBlock<TIsa>(ref Unsafe.Add(ref b, (nuint)row * (nuint)rank), (nuint)rank, ref hidden, scale, ref Unsafe.Add(ref output, row));
                }
            }

            for (; row < rows; row++)
            {
                ref float column = ref Unsafe.Add(ref b, ((nuint)(row / BlockRows * BlockRows) * (nuint)rank) + (nuint)(row % BlockRows));
                float sum = 0;
                for (nuint i = 0; i < (nuint)rank; i++)
                {
                    sum = MathF.FusedMultiplyAdd(Unsafe.Add(ref hidden, i), Unsafe.Add(ref column, i * BlockRows), sum);
                }

                ref float target = ref Unsafe.Add(ref output, row);
                target = MathF.FusedMultiplyAdd(scale, sum, target);
            }
        }
    }

    // A whole block: rank · 16 elements of B, 16 of y.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBlock<TIsa>(ref float b, nuint rank, ref float hidden, float scale, ref float y)
        where TIsa : struct, IIsa
    {
        if (typeof(TIsa) == typeof(Avx512))
        {
            Vector512<float> sum = Vector512<float>.Zero;
            for (nuint i = 0; i < rank; i++)
            {
                sum = Vector512.FusedMultiplyAdd(Vector512.Create(Unsafe.Add(ref hidden, i)), Vector512.LoadUnsafe(ref b, i * BlockRows), sum);
            }

            Vector512.FusedMultiplyAdd(Vector512.Create(scale), sum, Vector512.LoadUnsafe(ref y)).StoreUnsafe(ref y);
            return;
        }

        Vector256<float> lower = Vector256<float>.Zero;
        Vector256<float> upper = Vector256<float>.Zero;
        for (nuint i = 0; i < rank; i++)
        {
            Vector256<float> factor = Vector256.Create(Unsafe.Add(ref hidden, i));
            lower = Vector256.FusedMultiplyAdd(factor, Vector256.LoadUnsafe(ref b, i * BlockRows), lower);
            upper = Vector256.FusedMultiplyAdd(factor, Vector256.LoadUnsafe(ref b, (i * BlockRows) + 8), upper);
        }

        Vector256<float> scales = Vector256.Create(scale);
        Vector256.FusedMultiplyAdd(scales, lower, Vector256.LoadUnsafe(ref y)).StoreUnsafe(ref y);
        Vector256.FusedMultiplyAdd(scales, upper, Vector256.LoadUnsafe(ref y, 8)).StoreUnsafe(ref y, 8);
    }
}
