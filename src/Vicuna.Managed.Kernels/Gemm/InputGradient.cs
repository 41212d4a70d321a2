using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>
/// The gradient of a projection's input: where Y = X · Wᵀ, dX = dY · W. W is read where it lies, a block of its rows at a time, widened once for all
/// tokens. Each element sums over W's rows in their order.
/// </summary>
internal sealed class InputGradient : IDisposable
{
    // Rows of W that are widened together: with 32 columns each, a panel fills the first-level cache and a tile's accumulators last 256 steps.
    private const int DepthBlock = 256;

    // Panels of tokens that pass by a panel of W in one piece of work.
    private const int PanelGroup = 16;

    // Panels follow each other at an odd number of cache lines, so that the same row of many panels does not fall into the same set of a cache.
    private const int RightPanel = (DepthBlock * GemmTile.Columns) + 16;
    private const int LeftPanel = DepthBlock * GemmTile.Rows;

    private readonly IsaTier _tier;
    private readonly AlignedBuffer _left;
    private readonly AlignedBuffer _right;
    private readonly RangeJob _pack;
    private readonly RangeJob _multiply;

    private WeightMatrix? _matrix;
    private AlignedBuffer? _source;
    private AlignedBuffer? _destination;
    private int _tokens;
    private int _firstRow;
    private int _depth;
    private bool _add;

    /// <summary>Allocates the panels.</summary>
    /// <param name="tier">Instruction set.</param>
    /// <param name="maxTokens">Most tokens.</param>
    /// <param name="maxColumns">Most columns of a W.</param>
    public InputGradient(IsaTier tier, int maxTokens, int maxColumns)
    {
        _tier = tier;
        _left = AlignedBuffer.AllocateFloats((long)GemmPanels.Count(maxTokens, GemmTile.Rows) * LeftPanel);
        _right = AlignedBuffer.AllocateFloats((long)GemmPanels.Count(maxColumns, GemmTile.Columns) * RightPanel);
        _pack = new RangeJob(Pack);
        _multiply = tier switch
        {
            IsaTier.Avx512 => new RangeJob(Multiply<Avx512>),
            IsaTier.Avx2 => new RangeJob(Multiply<Avx2>),
            _ => new RangeJob(Multiply<Scalar>),
        };
    }

    /// <summary>Instruction set.</summary>
    public IsaTier Tier => _tier;

    /// <summary>Work space per thread, in f32 elements.</summary>
    public static int ScratchElements(int maxColumns) => maxColumns;

    /// <summary>dX (+)= dY · W.</summary>
    /// <param name="pool">The threads; scratch of <see cref="ScratchElements"/>.</param>
    /// <param name="matrix">W, <c>[rows, cols]</c>.</param>
    /// <param name="outputGradient">dY, f32 <c>[tokens, rows]</c>.</param>
    /// <param name="inputGradient">dX, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="add">Whether the gradient is added to dX, or takes its place.</param>
    /// <param name="cancellationToken">Checked before each piece.</param>
    public void Run(
        WorkerPool pool, WeightMatrix matrix, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens, bool add, CancellationToken cancellationToken)
    {
        (_matrix, _source, _destination, _tokens) = (matrix, outputGradient, inputGradient, tokens);
        int groups = (GemmPanels.Count(tokens, GemmTile.Rows) + PanelGroup - 1) / PanelGroup;
        for (_firstRow = 0; _firstRow < matrix.Rows; _firstRow += DepthBlock)
        {
            _depth = Math.Min(DepthBlock, matrix.Rows - _firstRow);
            _add = add || _firstRow > 0;
            pool.Run(_pack, _depth + GemmPanels.Count(tokens, GemmTile.Rows), 4, cancellationToken);
            pool.Run(_multiply, checked(GemmPanels.Count(matrix.Columns, GemmTile.Columns) * groups), 1, cancellationToken);
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
    }

    // First the block's rows of W, then the panels of dY.
    private void Pack(int start, int end, Span<float> scratch)
    {
        for (int i = start; i < end; i++)
        {
            if (i < _depth)
            {
                PackWeights(i, scratch[.._matrix!.Columns]);
            }
            else
            {
                PackGradient(i - _depth);
            }
        }
    }

    private void PackWeights(int k, Span<float> row)
    {
        _matrix!.DequantizeRow(_firstRow + k, row);
        for (int column = 0; column < row.Length; column += GemmTile.Columns)
        {
            Span<float> target = _right.Floats(((long)(column / GemmTile.Columns) * RightPanel) + (k * GemmTile.Columns), GemmTile.Columns);
            ReadOnlySpan<float> source = row.Slice(column, Math.Min(GemmTile.Columns, row.Length - column));
            source.CopyTo(target);
            target[source.Length..].Clear();
        }
    }

    private void PackGradient(int panel)
    {
        int first = panel * GemmTile.Rows;
        int count = Math.Min(GemmTile.Rows, _tokens - first);
        int stride = _matrix!.Rows;
        ReadOnlySpan<float> source = _source!.Floats(((long)first * stride) + _firstRow, checked(((count - 1) * stride) + _depth));
        GemmPanels.PackRows(source, stride, count, _depth, GemmTile.Rows, _left.Floats((long)panel * LeftPanel, _depth * GemmTile.Rows));
    }

    private void Multiply<TIsa>(int start, int end, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        int columns = _matrix!.Columns;
        int panels = GemmPanels.Count(_tokens, GemmTile.Rows);
        int groups = (panels + PanelGroup - 1) / PanelGroup;
        for (int i = start; i < end; i++)
        {
            int column = i / groups * GemmTile.Columns;
            int width = Math.Min(GemmTile.Columns, columns - column);
            ReadOnlySpan<float> right = _right.Floats((long)(i / groups) * RightPanel, _depth * GemmTile.Columns);
            int first = i % groups * PanelGroup;
            for (int panel = first; panel < Math.Min(first + PanelGroup, panels); panel++)
            {
                int token = panel * GemmTile.Rows;
                int count = Math.Min(GemmTile.Rows, _tokens - token);
                Span<float> target = _destination!.Floats(((long)token * columns) + column, checked(((count - 1) * columns) + width));
                GemmTile.MultiplyPart<TIsa>(
                    _left.Floats((long)panel * LeftPanel, _depth * GemmTile.Rows), right, _depth, target, columns, count, width, _add);
            }
        }
    }
}
