using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Models;

/// <summary>
/// What adapters add to a pass: y += scale · B·(A·x) after each product, for the tokens whose sequences have adapters. In two dispatches for all
/// products of an input: every h = A·x, then every y. Sequences with the same adapters side by side are one range of tokens, so that the factors are
/// read once for all of them. Which rows and tokens a thread takes changes no bit. Nothing is done, and nothing allocated, for a pass without adapters.
/// </summary>
internal sealed class AdapterPass : ParallelJob, IDisposable
{
    // Bytes of factors below which a chunk is not worth waking a thread for.
    private const int GrainBytes = 16 << 10;

    // From here on h is split over tokens, not rows: A has few rows, and each would read all of X.
    private const int ManyTokens = 64;

    private const int TokenTile = 16;

    private const int RowRun = 4 * LowRank.BlockRows;

    private readonly List<Range> _ranges = [];
    private readonly List<Term> _terms = [];
    private readonly List<Target> _targets = [];

    private Operations? _operations;
    private AlignedBuffer? _hidden;
    private AlignedBuffer? _input;
    private int _columns;
    private bool _isSecondHalf;

    /// <summary>Whether a sequence of the pass has adapters.</summary>
    public bool IsActive => _ranges.Count > 0;

    /// <summary>The block that the next products belong to.</summary>
    public int Layer { get; set; }

    /// <summary>Takes up the sequences of a pass.</summary>
    public void Begin(ReadOnlySpan<SequenceSlice> slices)
    {
        End();
        int token = 0;
        foreach (SequenceSlice slice in slices)
        {
            if (slice.Adapters is { } stack)
            {
                if (_ranges.Count > 0 && _ranges[^1] is var last && last.First + last.Tokens == token && last.Stack.IsSameAs(stack))
                {
                    _ranges[^1] = last with { Tokens = last.Tokens + slice.Tokens };
                }
                else
                {
                    _ranges.Add(new Range(stack, token, slice.Tokens));
                }
            }

            token += slice.Tokens;
        }
    }

    /// <summary>Lets go of the sequences' adapters.</summary>
    public void End()
    {
        _ranges.Clear();
        _terms.Clear();
        _targets.Clear();
    }

    /// <summary>Adds to the products of an input what the adapters change in them.</summary>
    /// <param name="operations">The arithmetic.</param>
    /// <param name="pool">The threads.</param>
    /// <param name="input">X, f32 <c>[T, columns]</c>.</param>
    /// <param name="columns">Columns of X.</param>
    /// <param name="projections">The products, done.</param>
    /// <param name="cancellationToken">Checked before each piece of the work.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Run(
        Operations operations,
        WorkerPool pool,
        AlignedBuffer input,
        int columns,
        scoped ReadOnlySpan<Projection> projections,
        CancellationToken cancellationToken)
    {
        (_operations, _input, _columns) = (operations, input, columns);
        Collect(projections);
        if (_targets.Count == 0)
        {
            return;
        }

        _isSecondHalf = false;
        Dispatch(pool, _terms[^1].FirstUnit + _terms[^1].Units, cancellationToken);
        _isSecondHalf = true;
        Dispatch(pool, _targets[^1].FirstUnit + _targets[^1].Units, cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        if (!_isSecondHalf)
        {
            foreach (Term term in CollectionsMarshal.AsSpan(_terms))
            {
                (int from, int to) = (Math.Max(start - term.FirstUnit, 0), Math.Min(end - term.FirstUnit, term.Units));
                if (from < to)
                {
                    Narrow(term, from, to, scratch);
                }
            }

            return;
        }

        foreach (Target target in CollectionsMarshal.AsSpan(_targets))
        {
            (int from, int to) = (Math.Max(start - target.FirstUnit, 0), Math.Min(end - target.FirstUnit, target.Units));
            for (int run = from; run < to; run++)
            {
                Widen(target, run * RowRun);
            }
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _hidden?.Dispose();

    private void Collect(scoped ReadOnlySpan<Projection> projections)
    {
        _terms.Clear();
        _targets.Clear();
        long hidden = 0;
        int firstUnit = 0;
        int firstTargetUnit = 0;
        foreach (Range range in CollectionsMarshal.AsSpan(_ranges))
        {
            foreach (Projection projection in projections)
            {
                int firstTerm = _terms.Count;
                foreach (AdapterEntry entry in range.Stack.Entries)
                {
                    if (projection.Adapted is { } matrix && entry.Weights.Find(Layer, matrix) is { } pair)
                    {
                        _terms.Add(new Term(pair, entry.Scale, range.First, range.Tokens, hidden, firstUnit));
                        hidden += (long)range.Tokens * pair.Rank;
                        firstUnit = checked(firstUnit + _terms[^1].Units);
                    }
                }

                if (_terms.Count > firstTerm)
                {
                    _targets.Add(new Target(projection.Output, projection.Matrix.Rows, range.First, range.Tokens, firstTerm, _terms.Count, firstTargetUnit));
                    firstTargetUnit = checked(firstTargetUnit + _targets[^1].Units);
                }
            }
        }

        if (_hidden is null || _hidden.Length < hidden * sizeof(float))
        {
            _hidden?.Dispose();
            _hidden = null;
            _hidden = AlignedBuffer.AllocateFloats(hidden);
        }
    }

    private void Dispatch(WorkerPool pool, int units, CancellationToken cancellationToken)
    {
        long bytes = 0;
        foreach (Term term in CollectionsMarshal.AsSpan(_terms))
        {
            bytes += (long)term.Tokens * term.Pair.Rank * (_isSecondHalf ? term.Pair.Rows : _columns) * sizeof(float);
        }

        pool.Run(this, units, (int)Math.Clamp(GrainBytes / Math.Max(1, bytes / units), 1, units), cancellationToken);
    }

    // Rows, or tokens, of h = A·x.
    private void Narrow(in Term term, int from, int to, Span<float> scratch)
    {
        bool isSplitOverTokens = term.Tokens >= ManyTokens;
        (int firstRow, int endRow) = isSplitOverTokens ? (0, term.Pair.Rank) : (from, to);
        int first = isSplitOverTokens ? from * TokenTile : 0;
        int tokens = isSplitOverTokens ? Math.Min(to * TokenTile, term.Tokens) - first : term.Tokens;
        ReadOnlySpan<byte> x = _input!.Bytes((term.First + (long)first) * _columns * sizeof(float), checked(tokens * _columns * sizeof(float)));
        Span<float> h = _hidden!.Floats(term.Hidden + ((long)first * term.Pair.Rank), tokens * term.Pair.Rank);
        term.Pair.Down.MultiplyPrepared(firstRow, endRow, ActivationKind.Floats, x, tokens, h, scratch);
    }

    // A run of rows of y += scale · B·h, for all terms in their order.
    private void Widen(in Target target, int firstRow)
    {
        int rows = Math.Min(RowRun, target.Rows - firstRow);
        Span<float> y = target.Output.Floats(((long)target.First * target.Rows) + firstRow, checked((target.Tokens * target.Rows) - firstRow));
        for (int i = target.FirstTerm; i < target.EndTerm; i++)
        {
            Term term = _terms[i];
            int rank = term.Pair.Rank;
            ReadOnlySpan<float> b = term.Pair.Up.Floats((long)firstRow * rank, checked((int)LowRank.PackedElements(rows, rank)));
            _operations!.AddLowRank(b, rank, _hidden!.Floats(term.Hidden, term.Tokens * rank), term.Tokens, term.Scale, y, rows, target.Rows);
        }
    }

    /// <summary>Tokens with the same adapters.</summary>
    private readonly record struct Range(AdapterStack Stack, int First, int Tokens);

    /// <summary>One adapter's part in one product of a range. Hidden is the place of its h, in elements.</summary>
    private readonly record struct Term(AdapterPair Pair, float Scale, int First, int Tokens, long Hidden, int FirstUnit)
    {
        public int Units => Tokens >= ManyTokens ? (Tokens + TokenTile - 1) / TokenTile : Pair.Rank;
    }

    /// <summary>One product of a range, and its terms.</summary>
    private readonly record struct Target(AlignedBuffer Output, int Rows, int First, int Tokens, int FirstTerm, int EndTerm, int FirstUnit)
    {
        public int Units => (Rows + RowRun - 1) / RowRun;
    }
}
