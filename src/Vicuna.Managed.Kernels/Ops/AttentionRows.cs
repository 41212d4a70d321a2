using System.Runtime.InteropServices;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Query rows that share one head of keys and values, with their running results: heads of a group, tokens, or both. Everything lies in the
/// work space of a thread.
/// </summary>
internal readonly ref struct AttentionRows
{
    /// <summary>Rows that are computed together: a widened vector of keys or values serves all of them.</summary>
    public const int Tile = 4;

    /// <summary>Most rows.</summary>
    public const int MaxCount = 64;

    // Below it a query times 2^112 is a finite number.
    private const float LargestScalableQuery = 1 << 15;

    private readonly Span<int> _unscalable;

    /// <summary>Divides up the work space and empties the results.</summary>
    /// <param name="scratch">f32 <c>[ScratchElements]</c>.</param>
    /// <param name="count">Rows, 1 to <see cref="MaxCount"/>.</param>
    /// <param name="headDim">d, elements per head.</param>
    /// <exception cref="ArgumentException">The work space is too small, or a number out of range.</exception>
    public AttentionRows(Span<float> scratch, int count, int headDim)
    {
        if (count is < 1 or > MaxCount || headDim < 1 || scratch.Length < ScratchElements(headDim))
        {
            throw new ArgumentException($"{count} rows of {headDim} elements do not fit work space of {scratch.Length}.", nameof(scratch));
        }

        Count = count;
        HeadDim = headDim;
        int matrix = MaxCount * headDim;
        Queries = scratch[..matrix];
        Output = scratch.Slice(matrix, matrix);
        WideKeys = scratch.Slice(2 * matrix, matrix);
        WideValues = scratch.Slice(3 * matrix, matrix);
        Scores = scratch.Slice(4 * matrix, Tile * KvShape.PagePositions);
        Span<float> rest = scratch[((4 * matrix) + (Tile * KvShape.PagePositions))..];
        Maxima = rest[..count];
        Sums = rest.Slice(MaxCount, count);
        Positions = MemoryMarshal.Cast<float, int>(rest.Slice(2 * MaxCount, count));
        _unscalable = MemoryMarshal.Cast<float, int>(rest.Slice(3 * MaxCount, 1));
        _unscalable[0] = 0;
        int padded = (count + Tile - 1) / Tile * Tile * headDim;
        Queries[..padded].Clear();
        Output[..padded].Clear();
        Maxima.Fill(float.NegativeInfinity);
        Sums.Clear();
    }

    /// <summary>Number of rows.</summary>
    public int Count { get; }

    /// <summary>Elements per row.</summary>
    public int HeadDim { get; }

    /// <summary>Whether no query is so large, or NaN, that it could not take over <see cref="IKvElement.Factor"/>.</summary>
    public bool QueriesAreScalable => _unscalable[0] == 0;

    /// <summary>Queries, tile by tile, f32 <c>[d, Tile]</c> each, the last filled up with zeros; a last tile of one row is <c>[d]</c>.</summary>
    public Span<float> Queries { get; }

    /// <summary>Running Σ e^(score - maximum) · value, f32 <c>[count, d]</c>, with room for whole tiles.</summary>
    public Span<float> Output { get; }

    /// <summary>Running maximum of the scores, f32 <c>[count]</c>.</summary>
    public Span<float> Maxima { get; }

    /// <summary>Running Σ e^(score - maximum), f32 <c>[count]</c>.</summary>
    public Span<float> Sums { get; }

    /// <summary>Position of each row's token, which sees it and what comes before, <c>[count]</c>.</summary>
    public Span<int> Positions { get; }

    /// <summary>Scores, then weights, of one tile and one page, f32 <c>[Tile, PagePositions]</c>.</summary>
    public Span<float> Scores { get; }

    /// <summary>Keys of a page, widened, f32 <c>[d, PagePositions]</c>; where they are not, a tile's scaled queries.</summary>
    public Span<float> WideKeys { get; }

    /// <summary>Values of a page, widened, f32 <c>[PagePositions, d]</c>.</summary>
    public Span<float> WideValues { get; }

    /// <summary>Size of the work space, in f32 elements.</summary>
    /// <param name="headDim">d, elements per head.</param>
    public static int ScratchElements(int headDim) => checked((4 * MaxCount * headDim) + (Tile * KvShape.PagePositions) + (3 * MaxCount) + 1);

    /// <summary>Sets a row.</summary>
    /// <param name="row">Row number.</param>
    /// <param name="position">Position of its token.</param>
    /// <param name="query">f32 <c>[d]</c>.</param>
    public void Set(int row, int position, ReadOnlySpan<float> query)
    {
        Positions[row] = position;
        int first = row / Tile * Tile;
        Span<float> tile = Queries[(first * HeadDim)..];
        int stride = Count - first == 1 ? 1 : Tile;
        bool scalable = true;
        for (int i = 0; i < HeadDim; i++)
        {
            tile[(i * stride) + (row - first)] = query[i];
            scalable &= MathF.Abs(query[i]) < LargestScalableQuery;
        }

        _unscalable[0] |= scalable ? 0 : 1;
    }
}
