using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Models;

/// <summary>Looks up the embeddings of tokens as a job over the tokens.</summary>
internal sealed class EmbeddingJob : ParallelJob
{
    private const int GrainElements = 16 << 10;

    private WeightMatrix? _embedding;
    private AlignedBuffer? _destination;
    private int[] _tokens = [];

    /// <summary>Looks up.</summary>
    /// <param name="embedding"><c>[V, D]</c>.</param>
    /// <param name="pool">The threads.</param>
    /// <param name="tokens">Token ids.</param>
    /// <param name="count">How many of them.</param>
    /// <param name="destination">f32 <c>[count, D]</c>.</param>
    /// <param name="cancellationToken">Checked before each chunk of tokens.</param>
    public void Run(WeightMatrix embedding, WorkerPool pool, int[] tokens, int count, AlignedBuffer destination, CancellationToken cancellationToken)
    {
        (_embedding, _tokens, _destination) = (embedding, tokens, destination);
        pool.Run(this, count, Math.Max(1, GrainElements / embedding.Columns), cancellationToken);
    }

    /// <inheritdoc/>
    public override void Run(int start, int end, Span<float> scratch)
    {
        for (int i = start; i < end; i++)
        {
            _embedding!.DequantizeRow(_tokens[i], _destination!.Floats((long)i * _embedding.Columns, _embedding.Columns));
        }
    }
}
