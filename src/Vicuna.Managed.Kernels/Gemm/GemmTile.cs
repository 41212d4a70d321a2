using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>
/// The innermost product of computed matrices: C (+)= A · B for 12 rows of A and 32 columns of B, both laid out step by step of the common axis. Outer
/// products: each element of C is one chain of fused multiply-adds in the order of the axis, so that every tier, tiling and number of threads gives the
/// same bits.
/// </summary>
internal static partial class GemmTile
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 12;

    /// <summary>Columns of a tile.</summary>
    public const int Columns = 32;

    private const int Elements = Rows * Columns;

    /// <summary>C (+)= A · B.</summary>
    /// <param name="a">A panel of A, f32 <c>[depth, Rows]</c>.</param>
    /// <param name="b">A panel of B, f32 <c>[depth, Columns]</c>.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="c">f32 <c>[Rows, stride]</c>, of which <c>[Rows, Columns]</c> is written; the last row may end after its columns.</param>
    /// <param name="stride">Distance of two rows of C, in elements.</param>
    /// <param name="add">Whether the product is added to C, or takes its place.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void Multiply<TIsa>(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int depth, Span<float> c, int stride, bool add)
        where TIsa : struct, IIsa
    {
        if (depth < 0 || a.Length < (long)depth * Rows || b.Length < (long)depth * Columns || stride < Columns || c.Length < ((long)(Rows - 1) * stride) + Columns)
        {
            throw new ArgumentException($"Panels of {a.Length} and {b.Length} elements and C of {c.Length} with stride {stride} do not hold a tile of depth {depth}.", nameof(c));
        }

        ref float ra = ref MemoryMarshal.GetReference(a);
        ref float rb = ref MemoryMarshal.GetReference(b);
        ref float rc = ref MemoryMarshal.GetReference(c);
        if (typeof(TIsa) == typeof(Avx512))
        {
            Multiply512(ref ra, ref rb, depth, ref rc, (nuint)stride, add);
        }
        else if (typeof(TIsa) == typeof(Avx2))
        {
            Multiply256(ref ra, ref rb, depth, ref rc, (nuint)stride, add);
        }
        else
        {
            MultiplyScalar(a, b, depth, c, stride, add);
        }
    }

    /// <summary>C (+)= A · B where C may end inside the tile.</summary>
    /// <param name="a">A panel of A, f32 <c>[depth, Rows]</c>.</param>
    /// <param name="b">A panel of B, f32 <c>[depth, Columns]</c>.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="c">f32 <c>[rows, stride]</c>, of which <c>[rows, columns]</c> is written.</param>
    /// <param name="stride">Distance of two rows of C, in elements.</param>
    /// <param name="rows">Rows of C in this tile, up to <see cref="Rows"/>, dimensionless.</param>
    /// <param name="columns">Columns of C in this tile, up to <see cref="Columns"/>, dimensionless.</param>
    /// <param name="add">Whether the product is added to C, or takes its place.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void MultiplyPart<TIsa>(
        ReadOnlySpan<float> a, ReadOnlySpan<float> b, int depth, Span<float> c, int stride, int rows, int columns, bool add)
        where TIsa : struct, IIsa
    {
        if (rows == Rows && columns == Columns)
        {
            Multiply<TIsa>(a, b, depth, c, stride, add);
            return;
        }

        Span<float> whole = stackalloc float[Elements];
        for (int row = 0; add && row < rows; row++)
        {
            c.Slice(row * stride, columns).CopyTo(whole[(row * Columns)..]);
        }

        Multiply<TIsa>(a, b, depth, whole, Columns, add);
        for (int row = 0; row < rows; row++)
        {
            whole.Slice(row * Columns, columns).CopyTo(c.Slice(row * stride, columns));
        }
    }

    private static void MultiplyScalar(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int depth, Span<float> c, int stride, bool add)
    {
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column++)
            {
                float sum = add ? c[(row * stride) + column] : 0;
                for (int k = 0; k < depth; k++)
                {
                    sum = MathF.FusedMultiplyAdd(a[(k * Rows) + row], b[(k * Columns) + column], sum);
                }

                c[(row * stride) + column] = sum;
            }
        }
    }
}
