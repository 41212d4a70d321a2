using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>Products of computed matrices on one thread, small enough that their panels lie in the caches.</summary>
internal static class SmallGemm
{
    /// <summary>Work space of a product, in f32 elements.</summary>
    /// <param name="m">Rows of A and C, dimensionless.</param>
    /// <param name="n">Columns of B and C, dimensionless.</param>
    /// <param name="k">Length of the common axis, dimensionless.</param>
    public static int ScratchElements(int m, int n, int k) =>
        checked((int)(GemmPanels.Elements(m, k, GemmTile.Rows) + GemmPanels.Elements(n, k, GemmTile.Columns)));

    /// <summary>C (+)= A · B.</summary>
    /// <param name="a">A <c>[m, k]</c>.</param>
    /// <param name="b">B <c>[k, n]</c>.</param>
    /// <param name="m">Rows of A and C, dimensionless.</param>
    /// <param name="n">Columns of B and C, dimensionless.</param>
    /// <param name="k">Length of the common axis, dimensionless.</param>
    /// <param name="c">f32 <c>[m, stride]</c>, of which <c>[m, n]</c> is written.</param>
    /// <param name="stride">Distance of two rows of C, in elements.</param>
    /// <param name="add">Whether the product is added to C, or takes its place.</param>
    /// <param name="scratch">Work space, f32 <c>[ScratchElements(m, n, k)]</c>.</param>
    /// <exception cref="ArgumentException">A span is too short.</exception>
    public static void Multiply<TIsa>(GemmOperand a, GemmOperand b, int m, int n, int k, Span<float> c, int stride, bool add, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        Span<float> left = scratch[..(int)GemmPanels.Elements(m, k, GemmTile.Rows)];
        Span<float> right = scratch.Slice(left.Length, (int)GemmPanels.Elements(n, k, GemmTile.Columns));
        a.Pack(m, k, GemmTile.Rows, left);
        b.Pack(n, k, GemmTile.Columns, right);
        for (int column = 0; column < n; column += GemmTile.Columns)
        {
            for (int row = 0; row < m; row += GemmTile.Rows)
            {
                GemmTile.MultiplyPart<TIsa>(
                    left[(row * k)..], right[(column * k)..], k, c[((row * stride) + column)..], stride,
                    Math.Min(GemmTile.Rows, m - row), Math.Min(GemmTile.Columns, n - column), add);
            }
        }
    }
}
