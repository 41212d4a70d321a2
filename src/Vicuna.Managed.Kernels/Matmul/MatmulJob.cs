using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>
/// Matrix products as a job; one instance per pass, reused for every matrix. Products of the same input run together: one dispatch, and no thread
/// waits for the last rows of each.
/// </summary>
internal sealed class MatmulJob : ParallelJob
{
    // Weight bytes below which a chunk is not worth waking a thread for.
    private const int GrainBytes = 16 << 10;

    // From here on a quarter of a thread's share of a large matrix takes longer than a cancelled prompt should.
    private const int ManyTokens = 64;

    private const int MostProducts = 3;

    private readonly Product[] _products = new Product[MostProducts];

    private int _count;
    private int _first;
    private int _end;
    private MatmulInput? _input;
    private ActivationKind _kind;

    /// <summary>Work space per thread for matrices of up to <paramref name="columns"/> columns, in f32 elements.</summary>
    public static int ScratchElements(int columns) => Math.Max(RowMajor.ScratchElements(columns), FloatPanel.ScratchElements(columns));

    /// <summary>Adds a product, Y = X · Wᵀ, to the next run; three at most.</summary>
    /// <param name="matrix">W, <c>[rows, cols]</c>.</param>
    /// <param name="destination">Y, f32 <c>[firstToken + tokens, rows]</c>.</param>
    /// <param name="firstToken">First row of Y in the buffer, dimensionless.</param>
    public void Add(WeightMatrix matrix, AlignedBuffer destination, int firstToken = 0)
    {
        _products[_count] = new Product(matrix, destination, firstToken, 0);
        _count++;
    }

    /// <summary>Runs the products that were added, rows split over the pool, and forgets them.</summary>
    /// <param name="pool">The threads; its scratch must hold <see cref="ScratchElements"/> for the matrices.</param>
    /// <param name="input">X, f32 <c>[tokens, cols]</c>.</param>
    /// <param name="cancellationToken">Checked before each chunk of rows; Y is incomplete then.</param>
    /// <exception cref="ArgumentException">X has other columns than a W.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Run(WorkerPool pool, MatmulInput input, CancellationToken cancellationToken = default)
    {
        int count = _count;
        _count = 0;
        _input = input;
        input.MaxThreads = MaxThreads;
        try
        {
            for (int i = 0; i < count; i++)
            {
                WeightMatrix matrix = _products[i].Matrix;
                if (input.Columns != matrix.Columns)
                {
                    throw new ArgumentException($"X has {input.Columns} columns, W [{matrix.Rows}, {matrix.Columns}] has others.", nameof(input));
                }

                _products[i] = _products[i] with { Matrix = input.Tokens > 0 ? matrix.Resolve(pool, input, cancellationToken) : matrix };
            }

            for (int first = 0, end; first < count && input.Tokens > 0; first = end)
            {
                end = first + 1;
                while (end < count && ReadTheSame(_products[first].Matrix, _products[end].Matrix, input.Tokens))
                {
                    end++;
                }

                RunTogether(first, end, pool, cancellationToken);
            }
        }
        finally
        {
            Array.Clear(_products);
        }
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        for (int i = _first; i < _end; i++)
        {
            Product product = _products[i];
            int from = Math.Max(start, product.FirstUnit) - product.FirstUnit;
            int to = Math.Min(end, product.FirstUnit + product.Units(Unit(product.Matrix))) - product.FirstUnit;
            if (from < to)
            {
                Multiply(product, from, to, scratch);
            }
        }
    }

    private static bool ReadTheSame(WeightMatrix a, WeightMatrix b, int tokens) =>
        a.ActivationsFor(tokens) == b.ActivationsFor(tokens) && a.ActivationScale == b.ActivationScale && a.RowUnit == b.RowUnit;

    private void RunTogether(int first, int end, WorkerPool pool, CancellationToken cancellationToken)
    {
        WeightMatrix sample = _products[first].Matrix;
        _kind = sample.ActivationsFor(_input!.Tokens);
        _input.Prepare(_kind, sample.ActivationScale, pool, cancellationToken);
        int units = 0;
        long bytes = 0;
        for (int i = first; i < end; i++)
        {
            _products[i] = _products[i] with { FirstUnit = units };
            units = checked(units + _products[i].Units(Unit(sample)));
            bytes += _products[i].Matrix.Region.Length;
        }

        if (units == 0)
        {
            return;
        }

        _first = first;
        _end = end;
        ChunksPerThread = _input.Tokens >= ManyTokens ? 32 : 4;
        long unitWork = Math.Max(1, bytes / units) * _input.Tokens;
        pool.Run(this, units, (int)Math.Clamp(GrainBytes / unitWork, 1, units), cancellationToken);
    }

    private int Unit(WeightMatrix matrix) => _kind == ActivationKind.FloatPanel ? FloatPanel.RowGroup : matrix.RowUnit;

    private void Multiply(Product product, int from, int to, Span<float> scratch)
    {
        WeightMatrix matrix = product.Matrix;
        int unit = Unit(matrix);
        Span<float> destination = product.Destination.Floats((long)product.FirstToken * matrix.Rows, checked(_input!.Tokens * matrix.Rows));
        matrix.MultiplyPrepared(from * unit, (int)Math.Min((long)to * unit, matrix.Rows), _kind, _input.Prepared, _input.Tokens, destination, scratch);
    }

    // A product and where its rows stand among those of the dispatch, in units of rows.
    private readonly record struct Product(WeightMatrix Matrix, AlignedBuffer Destination, int FirstToken, int FirstUnit)
    {
        public int Units(int unit) => (int)((Matrix.Rows + (long)unit - 1) / unit);
    }
}
