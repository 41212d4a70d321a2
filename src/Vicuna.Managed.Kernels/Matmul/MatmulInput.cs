using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Formats.Packed;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Matmul;

/// <summary>
/// The activations of one or several products, X f32 <c>[tokens, columns]</c>, and the forms that weight formats read: laid out when the first product
/// asks, kept for the others (Q, K and V share one input, gate and up another).
/// </summary>
internal sealed class MatmulInput(IsaTier tier, int maxTokens, int maxColumns) : ParallelJob, IDisposable
{
    private readonly AlignedBuffer _prepared = AlignedBuffer.Allocate(PreparedBytes(maxTokens, maxColumns));

    private AlignedBuffer? _source;
    private int _first;
    private ActivationKind _kind;
    private float _scale = 1;
    private float _magnitude;
    private ActivationKind _jobKind;
    private float _jobScale;

    /// <summary>Rows of X.</summary>
    public int Tokens { get; private set; }

    /// <summary>Columns of X.</summary>
    public int Columns { get; private set; }

    /// <summary>Native memory that an input takes, in bytes.</summary>
    public static long PreparedBytes(int maxTokens, int maxColumns)
    {
        long floats = Math.Max(FloatPanel.PackedElements(maxTokens, maxColumns), (long)maxTokens * maxColumns);
        long integers = Math.Max(Int16Activations.Integers(maxTokens, maxColumns), Int8Activations.Integers(maxTokens, maxColumns));
        return checked(Math.Max(floats, integers) * sizeof(float));
    }

    /// <summary>Takes new activations; what was laid out before is forgotten.</summary>
    /// <param name="source">X, f32 <c>[first + tokens, columns]</c>; unchanged until the next call.</param>
    /// <param name="tokens">Rows of X, up to the maximum, dimensionless.</param>
    /// <param name="columns">Columns of X, up to the maximum, dimensionless.</param>
    /// <param name="first">First row of X in the buffer, dimensionless.</param>
    /// <exception cref="ArgumentOutOfRangeException">More tokens or columns than there is room for.</exception>
    public void Set(AlignedBuffer source, int tokens, int columns, int first = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, maxTokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(columns, maxColumns);
        _source = source;
        _first = first;
        Tokens = tokens;
        Columns = columns;
        _kind = ActivationKind.Floats;
        _scale = 1;
        _magnitude = -1;
    }

    /// <summary>Whether all elements are below a limit; NaN is not.</summary>
    /// <param name="limit">The limit, dimensionless.</param>
    public bool IsBelow(float limit)
    {
        if (_magnitude < 0)
        {
            _magnitude = Magnitude.Max(Source());
        }

        return _magnitude < limit;
    }

    /// <summary>Lays X out, unless it lies so already.</summary>
    /// <param name="kind">The layout.</param>
    /// <param name="scale">Factor of the elements, a power of two; integers take none.</param>
    /// <param name="pool">The threads that share the work.</param>
    /// <param name="cancellationToken">Checked before each chunk of tiles.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Prepare(ActivationKind kind, float scale, WorkerPool pool, CancellationToken cancellationToken)
    {
        if (kind == _kind && scale == _scale)
        {
            return;
        }

        // Not known to be whole until the job is done; X as computed needs none.
        (_kind, _scale) = (ActivationKind.Floats, 1);
        if (kind == ActivationKind.Floats && scale == 1)
        {
            return;
        }

        _jobKind = kind;
        _jobScale = scale;
        int tiles = kind switch
        {
            ActivationKind.Floats => Tokens,
            ActivationKind.FloatPanel => (Tokens + FloatPanel.TokenTile - 1) / FloatPanel.TokenTile,
            _ => PackedLayout.Tiles(Tokens),
        };
        pool.Run(this, tiles, 1, cancellationToken);
        (_kind, _scale) = (kind, scale);
    }

    /// <summary>X in the layout that <see cref="Prepare"/> made last.</summary>
    public ReadOnlySpan<byte> Prepared => _kind == ActivationKind.Floats && _scale == 1
        ? MemoryMarshal.AsBytes(Source())
        : _prepared.Bytes(0, checked((int)Math.Min(_prepared.Length, int.MaxValue)));

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        ReadOnlySpan<float> x = Source();
        Span<byte> bytes = _prepared.Writable(0, checked((int)Math.Min(_prepared.Length, int.MaxValue)));
        Span<float> floats = MemoryMarshal.Cast<byte, float>(bytes);
        Span<int> integers = MemoryMarshal.Cast<byte, int>(bytes);
        for (int tile = start; tile < end; tile++)
        {
            switch (_jobKind)
            {
                case ActivationKind.Floats:
                    System.Numerics.Tensors.TensorPrimitives.Multiply(x.Slice(tile * Columns, Columns), _jobScale, floats.Slice(tile * Columns, Columns));
                    break;
                case ActivationKind.FloatPanel when tier == IsaTier.Avx512:
                    FloatPanel.PackTile<Avx512>(x, Tokens, Columns, tile, _jobScale, floats);
                    break;
                case ActivationKind.FloatPanel:
                    FloatPanel.PackTile<Avx2>(x, Tokens, Columns, tile, _jobScale, floats);
                    break;
                case ActivationKind.Int16:
                    Int16Activations.PackTile(x, Tokens, Columns, tile, integers);
                    break;
                default:
                    Int8Activations.PackTile(x, Tokens, Columns, tile, integers);
                    break;
            }
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _prepared.Dispose();

    private ReadOnlySpan<float> Source() => _source!.Floats((long)_first * Columns, checked(Tokens * Columns));
}
