using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Rotary embedding of queries and keys, and the storing of keys and values, as one job. A unit of work is one K and V head, with its query
/// heads, for the tokens of one sequence that fall on one page: no two threads write to the same part of a page.
/// </summary>
/// <param name="shape">Layout of the pages.</param>
/// <param name="heads">Query heads, a multiple of the K and V heads.</param>
/// <param name="style">Which elements of a head form pairs.</param>
/// <param name="maxTokens">Most tokens of one pass.</param>
internal sealed class KvStoreJob(KvShape shape, int heads, RopeStyle style, int maxTokens) : ParallelJob
{
    // Elements below which another thread does not help.
    private const int GrainElements = 8 << 10;

    private readonly int _group = heads / shape.KeyValueHeads;
    private readonly Block[] _blocks = new Block[maxTokens];

    private Operations? _operations;
    private AlignedBuffer? _queries;
    private AlignedBuffer? _keys;
    private AlignedBuffer? _values;
    private AlignedBuffer? _cosines;
    private AlignedBuffer? _sines;
    private int _layer;

    /// <summary>Rotates and stores.</summary>
    /// <param name="operations">The tier's operations.</param>
    /// <param name="pool">The threads.</param>
    /// <param name="runs">The sequences; their pages have room for the tokens.</param>
    /// <param name="layer">Block number.</param>
    /// <param name="queries">f32 <c>[tokens, heads, d]</c>, rotated in place.</param>
    /// <param name="keys">f32 <c>[tokens, kvHeads, d]</c>, rotated in place.</param>
    /// <param name="values">f32 <c>[tokens, kvHeads, d]</c>.</param>
    /// <param name="cosines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="sines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="cancellationToken">Checked before each chunk of units.</param>
    public void Run(
        Operations operations, WorkerPool pool, IReadOnlyList<KvRun> runs, int layer, AlignedBuffer queries, AlignedBuffer keys, AlignedBuffer values,
        AlignedBuffer cosines, AlignedBuffer sines, CancellationToken cancellationToken = default)
    {
        _operations = operations;
        _queries = queries;
        _keys = keys;
        _values = values;
        _cosines = cosines;
        _sines = sines;
        _layer = layer;
        int blocks = 0;
        int tokens = 0;
        for (int i = 0; i < runs.Count; i++)
        {
            KvRun run = runs[i];
            for (int done = 0; done < run.Tokens;)
            {
                int slot = (run.Position + done) % KvShape.PagePositions;
                int count = Math.Min(KvShape.PagePositions - slot, run.Tokens - done);
                _blocks[blocks++] = new Block(run.Pages[(run.Position + done) / KvShape.PagePositions], tokens + done, slot, count);
                done += count;
            }

            tokens += run.Tokens;
        }

        int units = checked(blocks * shape.KeyValueHeads);
        long unitWork = Math.Max(1, (long)tokens * (_group + 2) * shape.HeadDim / Math.Max(1, blocks));
        pool.Run(this, units, (int)Math.Clamp(GrainElements / unitWork, 1, int.MaxValue), cancellationToken);
        Array.Clear(_blocks, 0, blocks);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        int half = shape.HeadDim / 2;
        for (int unit = start; unit < end; unit++)
        {
            Block block = _blocks[unit / shape.KeyValueHeads];
            int head = unit % shape.KeyValueHeads;
            Span<byte> keyRun = block.Page.Run(shape.KeyOffset(_layer, head), shape);
            Span<byte> valueRun = block.Page.Run(shape.ValueOffset(_layer, head), shape);
            for (int i = 0; i < block.Tokens; i++)
            {
                long token = block.FirstToken + i;
                ReadOnlySpan<float> cosines = _cosines!.Floats(token * half, half);
                ReadOnlySpan<float> sines = _sines!.Floats(token * half, half);
                Span<float> queries = _queries!.Floats(((token * heads) + (head * _group)) * shape.HeadDim, _group * shape.HeadDim);
                long offset = ((token * shape.KeyValueHeads) + head) * shape.HeadDim;
                Span<float> keys = _keys!.Floats(offset, shape.HeadDim);
                _operations!.Rotate(queries, cosines, sines, 1, _group, shape.HeadDim, style);
                _operations.Rotate(keys, cosines, sines, 1, 1, shape.HeadDim, style);
                bool isNaN = _operations.Store(shape.Type, keys, keyRun, block.Slot + i, transposed: true);
                isNaN |= _operations.Store(shape.Type, _values!.Floats(offset, shape.HeadDim), valueRun, block.Slot + i, transposed: false);
                if (isNaN)
                {
                    block.Page.MarkNaN();
                }
            }
        }
    }

    /// <summary>Tokens of one sequence on one page.</summary>
    private readonly record struct Block(KvPage Page, int FirstToken, int Slot, int Tokens);
}
