using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Attention of a run of tokens over the cache as a job: one row of work is one token and one K and V head.</summary>
internal sealed class AttentionJob(KvShape shape, int heads) : ParallelJob
{
    private readonly int _group = heads / shape.KeyValueHeads;
    private readonly float _scale = (float)(1 / Math.Sqrt(shape.HeadDim));

    private Operations? _operations;
    private IReadOnlyList<AlignedBuffer>? _pages;
    private AlignedBuffer? _queries;
    private AlignedBuffer? _output;
    private int _layer;
    private int _position;
    private int _window;

    /// <summary>Work space per thread, in f32 elements: the scores of a page, and a maximum and a sum per head of a group.</summary>
    public static int ScratchElements(int group) => checked(Attention.ScoreElements(group) + (2 * group));

    /// <summary>Runs attention for tokens at <paramref name="position"/> and after; each sees itself and what came before it.</summary>
    /// <param name="operations">The tier's operations.</param>
    /// <param name="pool">The threads; its scratch must hold <see cref="ScratchElements"/>.</param>
    /// <param name="pages">The cache's pages, which already hold the tokens' own keys and values.</param>
    /// <param name="layer">Block number.</param>
    /// <param name="position">Position of the first token.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="window">Positions that a token sees, itself included; <see cref="int.MaxValue"/> = all.</param>
    /// <param name="queries">f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="output">f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows.</param>
    public void Run(
        Operations operations, WorkerPool pool, IReadOnlyList<AlignedBuffer> pages, int layer, int position, int tokens, int window, AlignedBuffer queries, AlignedBuffer output,
        CancellationToken cancellationToken = default)
    {
        _operations = operations;
        _pages = pages;
        _queries = queries;
        _output = output;
        _layer = layer;
        _position = position;
        _window = window;
        // 4096 multiply-adds are about what waking a thread costs.
        long work = Math.Max(1, (long)(position + tokens) * shape.HeadDim * _group);
        pool.Run(this, checked(tokens * shape.KeyValueHeads), (int)Math.Clamp(4096 / work, 1, int.MaxValue), cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        Span<float> scores = scratch[..Attention.ScoreElements(_group)];
        Span<float> maxima = scratch.Slice(scores.Length, _group);
        Span<float> sums = scratch.Slice(scores.Length + _group, _group);
        int groupElements = _group * shape.HeadDim;
        for (int row = start; row < end; row++)
        {
            int position = _position + (row / shape.KeyValueHeads);
            int head = row % shape.KeyValueHeads;
            Span<float> queries = _queries!.Floats((long)row * groupElements, groupElements);
            Span<float> output = _output!.Floats((long)row * groupElements, groupElements);
            maxima.Fill(float.NegativeInfinity);
            sums.Clear();
            output.Clear();
            int first = Math.Max(0, position - _window + 1);
            for (int page = first / KvShape.PagePositions; page <= position / KvShape.PagePositions; page++)
            {
                int pageStart = page * KvShape.PagePositions;
                int from = Math.Max(first - pageStart, 0);
                int count = Math.Min(position - pageStart + 1, KvShape.PagePositions) - from;
                ReadOnlySpan<float> keys = _pages![page].Floats(shape.KeyOffset(_layer, head) + ((long)from * shape.HeadDim), count * shape.HeadDim);
                ReadOnlySpan<float> values = _pages[page].Floats(shape.ValueOffset(_layer, head) + ((long)from * shape.HeadDim), count * shape.HeadDim);
                _operations!.AttendPage(queries, keys, values, _scale, maxima, sums, output, scores);
            }

            _operations!.FinishAttention(sums, output);
        }
    }
}
