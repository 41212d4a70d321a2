using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Operations on one token at a time as jobs over the tokens: on all threads when there is enough to do, on the calling one for a single token.
/// </summary>
internal sealed class TokenJob : ParallelJob
{
    // Elements below which another thread does not help.
    private const int GrainElements = 16 << 10;

    private readonly Action<int, int> _normalize;
    private readonly Action<int, int> _addThenNormalize;
    private readonly Action<int, int> _swiGlu;
    private readonly Action<int, int> _add;
    private readonly Action<int, int> _addBias;

    private Action<int, int>? _work;
    private Operations? _operations;
    private AlignedBuffer? _x;
    private AlignedBuffer? _y;
    private AlignedBuffer? _destination;
    private float[] _vector = [];
    private float _epsilon;
    private int _width;

    /// <summary>Makes the job.</summary>
    public TokenJob()
    {
        // Delegates of their own, made once: a pass allocates nothing.
        _normalize = (start, count) => _operations!.RmsNorm(Rows(_x!, start, count), _vector, _epsilon, Rows(_destination!, start, count));
        _addThenNormalize = (start, count) =>
        {
            // Token by token, while the sum is in the cache.
            for (int token = start; token < start + count; token++)
            {
                _operations!.Add(Rows(_x!, token, 1), Rows(_y!, token, 1));
                _operations.RmsNorm(Rows(_x!, token, 1), _vector, _epsilon, Rows(_destination!, token, 1));
            }
        };
        _swiGlu = (start, count) => _operations!.SwiGlu(Rows(_x!, start, count), Rows(_y!, start, count));
        _add = (start, count) => _operations!.Add(Rows(_x!, start, count), Rows(_y!, start, count));
        _addBias = (start, count) => _operations!.AddBias(Rows(_x!, start, count), _vector);
    }

    /// <summary>See <see cref="Ops.RmsNorm.Apply"/>.</summary>
    public void RmsNorm(
        Operations operations, WorkerPool pool, AlignedBuffer x, float[] gain, float epsilon, AlignedBuffer destination, int tokens,
        CancellationToken cancellationToken = default)
    {
        (_x, _vector, _epsilon, _destination) = (x, gain, epsilon, destination);
        Run(operations, pool, _normalize, gain.Length, tokens, cancellationToken);
    }

    /// <summary>x += y, then <see cref="Ops.RmsNorm.Apply"/> of the sum.</summary>
    public void AddThenRmsNorm(
        Operations operations, WorkerPool pool, AlignedBuffer x, AlignedBuffer y, float[] gain, float epsilon, AlignedBuffer destination, int tokens,
        CancellationToken cancellationToken = default)
    {
        (_x, _y, _vector, _epsilon, _destination) = (x, y, gain, epsilon, destination);
        Run(operations, pool, _addThenNormalize, gain.Length, tokens, cancellationToken);
    }

    /// <summary>See <see cref="Ops.SwiGlu.Apply"/>.</summary>
    public void SwiGlu(
        Operations operations, WorkerPool pool, AlignedBuffer gate, AlignedBuffer up, int width, int tokens, CancellationToken cancellationToken = default)
    {
        (_x, _y) = (gate, up);
        Run(operations, pool, _swiGlu, width, tokens, cancellationToken);
    }

    /// <summary>See <see cref="Residual.Add"/>.</summary>
    public void Add(Operations operations, WorkerPool pool, AlignedBuffer x, AlignedBuffer y, int width, int tokens, CancellationToken cancellationToken = default)
    {
        (_x, _y) = (x, y);
        Run(operations, pool, _add, width, tokens, cancellationToken);
    }

    /// <summary>See <see cref="Residual.AddBias"/>.</summary>
    public void AddBias(Operations operations, WorkerPool pool, AlignedBuffer x, float[] bias, int tokens, CancellationToken cancellationToken = default)
    {
        (_x, _vector) = (x, bias);
        Run(operations, pool, _addBias, bias.Length, tokens, cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch) => _work!(start, end - start);

    private void Run(Operations operations, WorkerPool pool, Action<int, int> work, int width, int tokens, CancellationToken cancellationToken)
    {
        (_operations, _work, _width) = (operations, work, width);
        pool.Run(this, tokens, Math.Max(1, GrainElements / Math.Max(1, width)), cancellationToken);
    }

    private Span<float> Rows(AlignedBuffer buffer, int first, int count) => buffer.Floats((long)first * _width, checked(count * _width));
}
