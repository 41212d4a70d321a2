using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Gemm;

/// <summary>
/// The gradient of a projection's weights: where Y = X · Wᵀ, dW = dYᵀ · X, summed over the tokens in their order. It is added to an array of W's size, or
/// handed over some rows at a time, so that no such array need exist.
/// </summary>
internal sealed class WeightGradient : IDisposable
{
    // Tokens that a tile of dW takes in before the next one: a panel of X then lies in the first-level cache.
    private const int DepthBlock = 256;

    // Panels of W's rows, 96 rows: X is read once for each such group.
    private const int PanelGroup = 8;

    // Panels that are laid out side by side, so that a token's row is read in longer pieces.
    private const int PackGroup = 8;

    private readonly AlignedBuffer _left;
    private readonly AlignedBuffer _right;
    private readonly RangeJob _pack;
    private readonly RangeJob _multiply;

    private AlignedBuffer? _gradient;
    private AlignedBuffer? _input;
    private AlignedBuffer? _destination;
    private GradientRows? _rowsTaken;
    private int _tokens;
    private int _rows;
    private int _columns;
    private int _group;

    /// <summary>Allocates the panels.</summary>
    /// <param name="tier">Instruction set.</param>
    /// <param name="maxTokens">Most tokens.</param>
    /// <param name="maxRows">Most rows of a W.</param>
    /// <param name="maxColumns">Most columns of a W.</param>
    public WeightGradient(IsaTier tier, int maxTokens, int maxRows, int maxColumns)
    {
        _left = AlignedBuffer.AllocateFloats(GemmPanels.Elements(maxRows, maxTokens, GemmTile.Rows));
        _right = AlignedBuffer.AllocateFloats(GemmPanels.Elements(maxColumns, maxTokens, GemmTile.Columns));
        _pack = new RangeJob(Pack);
        _multiply = tier switch
        {
            IsaTier.Avx512 => new RangeJob(Multiply<Avx512>),
            IsaTier.Avx2 => new RangeJob(Multiply<Avx2>),
            _ => new RangeJob(Multiply<Scalar>),
        };
    }

    /// <summary>Work space per thread where rows are handed over, in f32 elements.</summary>
    public static int ScratchElements(int maxColumns) => checked(PanelGroup * GemmTile.Rows * maxColumns);

    /// <summary>destination += dYᵀ · X.</summary>
    /// <param name="pool">The threads.</param>
    /// <param name="outputGradient">dY, f32 <c>[tokens, rows]</c>.</param>
    /// <param name="input">X, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="rows">Rows of W, dimensionless.</param>
    /// <param name="columns">Columns of W, dimensionless.</param>
    /// <param name="destination">dW, f32 <c>[rows, cols]</c>.</param>
    /// <param name="cancellationToken">Checked before each piece; the destination is void then.</param>
    public void Add(
        WorkerPool pool, AlignedBuffer outputGradient, AlignedBuffer input, int tokens, int rows, int columns, AlignedBuffer destination, CancellationToken cancellationToken)
    {
        (_destination, _rowsTaken) = (destination, null);
        Run(pool, outputGradient, input, tokens, rows, columns, cancellationToken);
    }

    /// <summary>Hands dYᵀ · X over, a group of rows at a time.</summary>
    /// <param name="pool">The threads; scratch of <see cref="ScratchElements"/>.</param>
    /// <param name="outputGradient">dY, f32 <c>[tokens, rows]</c>.</param>
    /// <param name="input">X, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="rows">Rows of W, dimensionless.</param>
    /// <param name="columns">Columns of W, dimensionless.</param>
    /// <param name="rowsTaken">Takes the rows.</param>
    /// <param name="cancellationToken">Checked before each piece.</param>
    public void Stream(
        WorkerPool pool, AlignedBuffer outputGradient, AlignedBuffer input, int tokens, int rows, int columns, GradientRows rowsTaken, CancellationToken cancellationToken)
    {
        (_destination, _rowsTaken) = (null, rowsTaken);
        Run(pool, outputGradient, input, tokens, rows, columns, cancellationToken);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _left.Dispose();
        _right.Dispose();
    }

    private void Run(WorkerPool pool, AlignedBuffer outputGradient, AlignedBuffer input, int tokens, int rows, int columns, CancellationToken cancellationToken)
    {
        (_gradient, _input, _tokens, _rows, _columns) = (outputGradient, input, tokens, rows, columns);
        int panels = GemmPanels.Count(rows, GemmTile.Rows);
        // Enough groups for all threads, up to the size from where on larger ones gain nothing.
        _group = Math.Clamp(panels / (4 * pool.Threads), 1, PanelGroup);
        pool.Run(_pack, PackGroups(rows, GemmTile.Rows) + PackGroups(columns, GemmTile.Columns), 1, cancellationToken);
        pool.Run(_multiply, (panels + _group - 1) / _group, 1, cancellationToken);
    }

    private static int PackGroups(int outer, int width) => (GemmPanels.Count(outer, width) + PackGroup - 1) / PackGroup;

    private void Pack(int start, int end, Span<float> scratch)
    {
        int leftGroups = PackGroups(_rows, GemmTile.Rows);
        for (int i = start; i < end; i++)
        {
            if (i < leftGroups)
            {
                Pack(_gradient!, _rows, GemmTile.Rows, i * PackGroup, _left);
            }
            else
            {
                Pack(_input!, _columns, GemmTile.Columns, (i - leftGroups) * PackGroup, _right);
            }
        }
    }

    private void Pack(AlignedBuffer source, int outer, int width, int firstPanel, AlignedBuffer panels)
    {
        int lastPanel = Math.Min(firstPanel + PackGroup, GemmPanels.Count(outer, width));
        long panelElements = (long)_tokens * width;
        Span<float> target = panels.Floats(firstPanel * panelElements, checked((int)((lastPanel - firstPanel) * panelElements)));
        for (int token = 0; token < _tokens; token++)
        {
            ReadOnlySpan<float> line = source.Floats((long)token * outer, outer);
            for (int panel = firstPanel; panel < lastPanel; panel++)
            {
                Span<float> step = target.Slice((int)((panel - firstPanel) * panelElements) + (token * width), width);
                ReadOnlySpan<float> part = line.Slice(panel * width, Math.Min(width, outer - (panel * width)));
                part.CopyTo(step);
                step[part.Length..].Clear();
            }
        }
    }

    private void Multiply<TIsa>(int start, int end, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        for (int group = start; group < end; group++)
        {
            int firstRow = group * _group * GemmTile.Rows;
            int rows = Math.Min(_group * GemmTile.Rows, _rows - firstRow);
            Span<float> target = _destination is null
                ? scratch[..(rows * _columns)]
                : _destination.Floats((long)firstRow * _columns, checked(rows * _columns));
            for (int column = 0; column < _columns; column += GemmTile.Columns)
            {
                MultiplyColumns<TIsa>(firstRow, rows, column, target, _destination is not null);
            }

            _rowsTaken?.Invoke(firstRow, target, _columns);
        }
    }

    private void MultiplyColumns<TIsa>(int firstRow, int rows, int column, Span<float> target, bool add)
        where TIsa : struct, IIsa
    {
        int width = Math.Min(GemmTile.Columns, _columns - column);
        for (int token = 0; token < _tokens; token += DepthBlock)
        {
            int depth = Math.Min(DepthBlock, _tokens - token);
            ReadOnlySpan<float> right = _right.Floats(((long)column * _tokens) + (token * GemmTile.Columns), depth * GemmTile.Columns);
            for (int row = 0; row < rows; row += GemmTile.Rows)
            {
                ReadOnlySpan<float> left = _left.Floats(((long)(firstRow + row) * _tokens) + (token * GemmTile.Rows), depth * GemmTile.Rows);
                GemmTile.MultiplyPart<TIsa>(
                    left, right, depth, target[((row * _columns) + column)..], _columns, Math.Min(GemmTile.Rows, rows - row), width, add || token > 0);
            }
        }
    }
}
