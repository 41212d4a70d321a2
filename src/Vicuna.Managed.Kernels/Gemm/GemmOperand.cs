namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>A computed matrix as an operand of a product, in either orientation.</summary>
internal readonly ref struct GemmOperand
{
    private GemmOperand(ReadOnlySpan<float> data, int stride, bool runsAlongDepth)
    {
        Data = data;
        Stride = stride;
        RunsAlongDepth = runsAlongDepth;
    }

    /// <summary>The elements, row after row.</summary>
    public ReadOnlySpan<float> Data { get; }

    /// <summary>Distance of two rows, in elements.</summary>
    public int Stride { get; }

    /// <summary>Whether rows run along the common axis.</summary>
    public bool RunsAlongDepth { get; }

    /// <summary>A matrix whose rows run along the common axis: A <c>[m, k]</c>, or B given as Bᵀ <c>[n, k]</c>.</summary>
    /// <param name="data">f32 <c>[outer, stride]</c>.</param>
    /// <param name="stride">Distance of two rows, in elements.</param>
    public static GemmOperand Rows(ReadOnlySpan<float> data, int stride) => new(data, stride, true);

    /// <summary>A matrix whose columns run along the common axis: B <c>[k, n]</c>, or A given as Aᵀ <c>[k, m]</c>.</summary>
    /// <param name="data">f32 <c>[depth, stride]</c>.</param>
    /// <param name="stride">Distance of two rows, in elements.</param>
    public static GemmOperand Columns(ReadOnlySpan<float> data, int stride) => new(data, stride, false);

    /// <summary>Lays out panels.</summary>
    /// <param name="outer">Rows of A or columns of B, dimensionless.</param>
    /// <param name="depth">Length of the common axis, dimensionless.</param>
    /// <param name="width">Width of a panel, dimensionless.</param>
    /// <param name="panels">f32 <c>[GemmPanels.Elements(outer, depth, width)]</c>.</param>
    public void Pack(int outer, int depth, int width, Span<float> panels)
    {
        for (int first = 0; first < outer; first += width)
        {
            int count = Math.Min(width, outer - first);
            Span<float> panel = panels.Slice(first / width * width * depth, width * depth);
            if (RunsAlongDepth)
            {
                GemmPanels.PackRows(Data[(first * Stride)..], Stride, count, depth, width, panel);
            }
            else
            {
                GemmPanels.PackColumns(Data[first..], Stride, count, depth, width, panel);
            }
        }
    }
}
