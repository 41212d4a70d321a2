using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Attention of the tokens of one or several sequences over their caches as a job. One unit of work is one K and V head and some query rows that
/// use it: the heads of its group, token by token.
/// </summary>
/// <param name="shape">Layout of the pages.</param>
/// <param name="heads">Query heads, a multiple of the K and V heads.</param>
/// <param name="maxRuns">Most sequences of one pass.</param>
internal sealed class AttentionJob(KvShape shape, int heads, int maxRuns) : ParallelJob
{
    // Enough units for the threads to even out; more would widen keys and values more often.
    private const int UnitsPerThread = 4;

    // Multiply-adds of about a microsecond, below which another thread does not help.
    private const int GrainWork = 32 << 10;

    private readonly int _group = heads / shape.KeyValueHeads;
    private readonly float _scale = (float)(1 / Math.Sqrt(shape.HeadDim));
    private readonly int[] _firstUnit = new int[maxRuns];
    private readonly int[] _firstToken = new int[maxRuns];

    private Operations? _operations;
    private IReadOnlyList<KvRun> _runs = [];
    private AlignedBuffer? _queries;
    private AlignedBuffer? _output;
    private int _layer;
    private int _window;
    private int _rows;

    /// <summary>Work space per thread, in f32 elements.</summary>
    /// <param name="headDim">Elements per head.</param>
    public static int ScratchElements(int headDim) => AttentionRows.ScratchElements(headDim);

    /// <summary>Runs attention; each token sees itself and what came before it in its sequence.</summary>
    /// <param name="operations">The tier's operations.</param>
    /// <param name="pool">The threads; its scratch must hold <see cref="ScratchElements"/>.</param>
    /// <param name="runs">The sequences; their pages already hold the tokens' own keys and values.</param>
    /// <param name="layer">Block number.</param>
    /// <param name="window">Positions that a token sees, itself included; <see cref="int.MaxValue"/> = all.</param>
    /// <param name="queries">f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="output">f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="cancellationToken">Checked before each chunk of units.</param>
    public void Run(
        Operations operations, WorkerPool pool, IReadOnlyList<KvRun> runs, int layer, int window, AlignedBuffer queries, AlignedBuffer output,
        CancellationToken cancellationToken = default)
    {
        _operations = operations;
        _runs = runs;
        _queries = queries;
        _output = output;
        _layer = layer;
        _window = window;
        int tokens = 0;
        long work = 0;
        for (int i = 0; i < runs.Count; i++)
        {
            _firstToken[i] = tokens;
            tokens += runs[i].Tokens;
            work += (long)runs[i].Tokens * Math.Min(runs[i].Position + runs[i].Tokens, window) * shape.HeadDim * _group;
        }

        int rows = checked(tokens * _group);
        int wanted = Math.Max(1, pool.Threads * UnitsPerThread / shape.KeyValueHeads);
        _rows = Math.Clamp((rows + wanted - 1) / wanted, AttentionRows.Tile, AttentionRows.MaxCount) / AttentionRows.Tile * AttentionRows.Tile;
        int units = 0;
        for (int i = 0; i < runs.Count; i++)
        {
            _firstUnit[i] = units;
            units += ((runs[i].Tokens * _group) + _rows - 1) / _rows * shape.KeyValueHeads;
        }

        long unitWork = Math.Max(1, work * shape.KeyValueHeads / Math.Max(1, units));
        pool.Run(this, units, (int)Math.Clamp(GrainWork / unitWork, 1, int.MaxValue), cancellationToken);
        _runs = [];
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        int run = 0;
        for (int unit = start; unit < end; unit++)
        {
            while (run + 1 < _runs.Count && _firstUnit[run + 1] <= unit)
            {
                run++;
            }

            // Heads vary fastest: units of like length lie together, and the longest, at the end, are claimed first.
            int local = unit - _firstUnit[run];
            Attend(run, local % shape.KeyValueHeads, local / shape.KeyValueHeads * _rows, scratch);
        }
    }

    private void Attend(int index, int head, int firstRow, Span<float> scratch)
    {
        KvRun run = _runs[index];
        AttentionRows rows = new(scratch, Math.Min(_rows, (run.Tokens * _group) - firstRow), shape.HeadDim);
        for (int i = 0; i < rows.Count; i++)
        {
            rows.Set(i, run.Position + ((firstRow + i) / _group), _queries!.Floats(RowOffset(index, head, firstRow + i), shape.HeadDim));
        }

        int first = Math.Max(0, rows.Positions[0] - _window + 1);
        for (int page = first / KvShape.PagePositions; page <= rows.Positions[^1] / KvShape.PagePositions; page++)
        {
            ReadOnlySpan<byte> keys = run.Pages[page].Run(shape.KeyOffset(_layer, head), shape);
            ReadOnlySpan<byte> values = run.Pages[page].Run(shape.ValueOffset(_layer, head), shape);
            _operations!.AttendPage(shape.Type, rows, keys, values, page * KvShape.PagePositions, _window, _scale, run.Pages[page].MayHoldNaN);
        }

        for (int i = 0; i < rows.Count; i++)
        {
            _operations!.FinishAttention(rows, i, _output!.Floats(RowOffset(index, head, firstRow + i), shape.HeadDim));
        }
    }

    // Where a row's elements start in queries and output.
    private long RowOffset(int run, int head, int row)
    {
        long token = _firstToken[run] + (row / _group);
        return ((token * heads) + (head * _group) + (row % _group)) * shape.HeadDim;
    }
}
