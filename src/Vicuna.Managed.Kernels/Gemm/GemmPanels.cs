namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>Lays matrices out as <see cref="GemmTile"/> reads them. What lies beyond the matrix is zero.</summary>
internal static class GemmPanels
{
    /// <summary>Elements of the panels of an operand.</summary>
    /// <param name="outer">Rows of A or columns of B, dimensionless.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="width"><see cref="GemmTile.Rows"/> or <see cref="GemmTile.Columns"/>.</param>
    public static long Elements(int outer, int depth, int width) => checked((long)Count(outer, width) * width * depth);

    /// <summary>Number of panels.</summary>
    /// <param name="outer">Rows of A or columns of B, dimensionless.</param>
    /// <param name="width"><see cref="GemmTile.Rows"/> or <see cref="GemmTile.Columns"/>.</param>
    public static int Count(int outer, int width) => (int)(((long)outer + width - 1) / width);

    /// <summary>One panel of a matrix whose rows run along the common axis: A as it is, or Bᵀ.</summary>
    /// <param name="source">f32 <c>[outer, stride]</c>, from the panel's first element on.</param>
    /// <param name="stride">Distance of two rows, in elements.</param>
    /// <param name="count">Rows that there are for this panel, up to <paramref name="width"/>, dimensionless.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="width">Width of the panel, dimensionless.</param>
    /// <param name="panel">f32 <c>[depth, width]</c>.</param>
    public static void PackRows(ReadOnlySpan<float> source, int stride, int count, int depth, int width, Span<float> panel)
    {
        if (count < width)
        {
            panel[..(depth * width)].Clear();
        }

        for (int row = 0; row < count; row++)
        {
            ReadOnlySpan<float> line = source.Slice(row * stride, depth);
            for (int k = 0, to = row; k < line.Length; k++, to += width)
            {
                panel[to] = line[k];
            }
        }
    }

    /// <summary>One panel of a matrix whose columns run along the common axis: B as it is, or Aᵀ.</summary>
    /// <param name="source">f32 <c>[depth, stride]</c>, from the panel's first element on.</param>
    /// <param name="stride">Distance of two rows, in elements.</param>
    /// <param name="count">Columns that there are for this panel, up to <paramref name="width"/>, dimensionless.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="width">Width of the panel, dimensionless.</param>
    /// <param name="panel">f32 <c>[depth, width]</c>.</param>
    public static void PackColumns(ReadOnlySpan<float> source, int stride, int count, int depth, int width, Span<float> panel)
    {
        for (int k = 0; k < depth; k++)
        {
            Span<float> target = panel.Slice(k * width, width);
            source.Slice(k * stride, count).CopyTo(target);
            target[count..].Clear();
        }
    }
}
