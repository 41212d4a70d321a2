using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Models;

/// <summary>
/// Packs a model's matrices at load: all of them where quantization was asked for, those that lose nothing by it where not. The embedding is
/// looked up row by row and stays as it is. Source pages leave the process's memory as soon as their matrix is packed.
/// </summary>
internal sealed class WeightPacker : IDisposable
{
    // The head decides between tokens, and is a small part of what a pass reads: four bits would cost more there than anywhere else.
    private const string HeadFormatOfQ4 = "q8";

    private readonly Quantization _quantization;
    private readonly bool _exactProducts;
    private readonly IsaTier _tier;
    private readonly bool _hugePages;
    private readonly Action<string, long, long>? _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly WorkerPool _pool;
    private readonly List<MemoryBlock> _packed = [];
    private bool _copyRest;
    private long _total;
    private long _done;

    /// <summary>Starts the threads.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="quantization">What was asked for.</param>
    /// <param name="exactProducts">Whether block-quantized weights stay as stored.</param>
    /// <param name="tier">The instruction set that will compute.</param>
    /// <param name="threads">Threads that pack.</param>
    /// <param name="hugePages">Whether the system is asked for large pages.</param>
    /// <param name="progress">Hears a tensor's name, the bytes read so far, and the bytes to read; may be null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public WeightPacker(
        ModelConfig config,
        Quantization quantization,
        bool exactProducts,
        IsaTier tier,
        int threads,
        bool hugePages,
        Action<string, long, long>? progress,
        CancellationToken cancellationToken)
    {
        _quantization = quantization;
        _exactProducts = exactProducts;
        _tier = tier;
        _hugePages = hugePages;
        _progress = progress;
        _cancellationToken = cancellationToken;
        _pool = new WorkerPool(threads, MatrixPacker.ScratchElements(DecoderState.WidestInput(config)));
    }

    /// <summary>The format that a matrix is to be packed in, or null where it stays as it is.</summary>
    /// <param name="quantization">What was asked for.</param>
    /// <param name="exactProducts">Whether block-quantized weights stay as stored; without quantization only.</param>
    /// <param name="stored">The stored format's name.</param>
    /// <param name="isHead">Whether it is the output head.</param>
    public static string? FormatFor(Quantization quantization, bool exactProducts, string stored, bool isHead) => quantization switch
    {
        Quantization.Q8 => "q8",
        Quantization.Q4 => isHead ? HeadFormatOfQ4 : "q4",
        _ => exactProducts ? null : MatrixPacker.LosslessFor(stored),
    };

    /// <summary>Packs what is to be packed.</summary>
    /// <param name="weights">The weights as stored.</param>
    /// <param name="source">The checkpoint's name, for messages.</param>
    /// <param name="copyRest">Whether what is not packed is copied, so that nothing needs the files any more.</param>
    /// <returns>The weights to compute with; the caller disposes them.</returns>
    /// <exception cref="ModelFormatException">A weight is not finite.</exception>
    /// <exception cref="OutOfMemoryException">The system has no memory for them.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public DecoderWeights Pack(DecoderWeights weights, string source, bool copyRest)
    {
        try
        {
            _copyRest = copyRest;
            _total = weights.Matrices
                .Where(matrix => FormatFor(_quantization, _exactProducts, matrix.Format, false) is not null)
                .Sum(matrix => matrix.Region.Length);
            BlockWeights[] blocks = [.. weights.Blocks.Select((block, layer) => Pack(block, $"{source}: block {layer}"))];
            WeightMatrix embedding = copyRest ? Copy(weights.TokenEmbedding) : weights.TokenEmbedding;
            bool isTiedAsStored = weights.Output == weights.TokenEmbedding && FormatFor(_quantization, _exactProducts, embedding.Format, true) is null;
            WeightMatrix head = isTiedAsStored ? embedding : Pack(weights.Output, isHead: true, $"{source}: output head");
            return weights.WithPacked(embedding, blocks, head, [.. _packed]);
        }
        catch
        {
            foreach (MemoryBlock block in _packed)
            {
                block.Dispose();
            }

            throw;
        }
    }

    /// <summary>Ends the threads.</summary>
    public void Dispose() => _pool.Dispose();

    private WeightMatrix Copy(WeightMatrix matrix)
    {
        const int piece = 16 << 20;
        _cancellationToken.ThrowIfCancellationRequested();
        AlignedBuffer copy = AlignedBuffer.Allocate(matrix.Region.Length, _hugePages);
        _packed.Add(copy);
        for (long done = 0; done < copy.Length; done += piece)
        {
            int count = (int)Math.Min(piece, copy.Length - done);
            matrix.Region.Bytes(done, count).CopyTo(copy.Writable(done, count));
        }

        matrix.Region.Forget();
        return WeightFormats.Find(matrix.Format)!.Open(copy.Region, matrix.Rows, matrix.Columns, _tier);
    }

    private BlockWeights Pack(BlockWeights block, string name) => block with
    {
        Query = Pack(block.Query, false, $"{name}, q_proj"),
        Key = Pack(block.Key, false, $"{name}, k_proj"),
        Value = Pack(block.Value, false, $"{name}, v_proj"),
        Output = Pack(block.Output, false, $"{name}, o_proj"),
        Gate = Pack(block.Gate, false, $"{name}, gate_proj"),
        Up = Pack(block.Up, false, $"{name}, up_proj"),
        Down = Pack(block.Down, false, $"{name}, down_proj"),
    };

    private WeightMatrix Pack(WeightMatrix matrix, bool isHead, string name)
    {
        if (FormatFor(_quantization, _exactProducts, matrix.Format, isHead) is not { } format)
        {
            return _copyRest ? Copy(matrix) : matrix;
        }

        WeightMatrix packed;
        matrix.Region.Block.AddReference();
        try
        {
            packed = MatrixPacker.Pack(format, matrix, _tier, _pool, _hugePages, _cancellationToken);
            matrix.Region.Forget();
        }
        catch (NotFiniteNumberException exception)
        {
            throw new ModelFormatException($"{name}: expected finite weights to quantize. {exception.Message}");
        }
        finally
        {
            matrix.Region.Block.Release();
        }

        _packed.Add(packed.Region.Block);
        _done += matrix.Region.Length;
        _progress?.Invoke(name, _done, Math.Max(_total, _done));
        return packed;
    }
}
