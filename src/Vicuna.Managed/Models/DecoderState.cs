using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Models;

/// <summary>Every buffer that a forward pass writes, with its shape, allocated once per sequence. T is <see cref="ChunkTokens"/>.</summary>
internal sealed class DecoderState : IDisposable
{
    /// <summary>Positions whose logits are computed together when all are wanted.</summary>
    public const int LogitsRows = 16;

    private readonly AlignedBuffer[] _all;

    /// <summary>Allocates the buffers.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="chunkTokens">Most tokens of one pass.</param>
    public DecoderState(ModelConfig config, int chunkTokens)
    {
        ChunkTokens = chunkTokens;
        long[] sizes = Sizes(config, chunkTokens);
        _all = new AlignedBuffer[sizes.Length];
        for (int i = 0; i < sizes.Length; i++)
        {
            _all[i] = AlignedBuffer.AllocateFloats(sizes[i]);
        }

        Attention = new AttentionJob(new KvShape(config.NumHiddenLayers, config.NumKeyValueHeads, config.HeadDim), config.NumAttentionHeads);
    }

    /// <summary>Most tokens of one pass.</summary>
    public int ChunkTokens { get; }

    /// <summary>Residual stream, f32 <c>[T, D]</c>.</summary>
    public AlignedBuffer Hidden => _all[0];

    /// <summary>Normalized stream, f32 <c>[T, D]</c>.</summary>
    public AlignedBuffer Normed => _all[1];

    /// <summary>What a half block adds to the stream, f32 <c>[T, D]</c>.</summary>
    public AlignedBuffer Branch => _all[2];

    /// <summary>f32 <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer Queries => _all[3];

    /// <summary>f32 <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer Attended => _all[4];

    /// <summary>f32 <c>[T, Hkv·dh]</c>.</summary>
    public AlignedBuffer Keys => _all[5];

    /// <summary>f32 <c>[T, Hkv·dh]</c>.</summary>
    public AlignedBuffer Values => _all[6];

    /// <summary>f32 <c>[T, F]</c>.</summary>
    public AlignedBuffer Gate => _all[7];

    /// <summary>f32 <c>[T, F]</c>.</summary>
    public AlignedBuffer Up => _all[8];

    /// <summary>f32 <c>[T, dh/2]</c>.</summary>
    public AlignedBuffer Cosines => _all[9];

    /// <summary>f32 <c>[T, dh/2]</c>.</summary>
    public AlignedBuffer Sines => _all[10];

    /// <summary>f32 <c>[LogitsRows, D]</c>.</summary>
    public AlignedBuffer FinalNormed => _all[11];

    /// <summary>f32 <c>[LogitsRows, V]</c>.</summary>
    public AlignedBuffer Logits => _all[12];

    /// <summary>The matrix product as a reusable job.</summary>
    public MatmulJob Matmul { get; } = new();

    /// <summary>Attention as a reusable job.</summary>
    public AttentionJob Attention { get; }

    /// <summary>Most threads that the jobs of a pass use.</summary>
    public int MaxThreads
    {
        set => Matmul.MaxThreads = Attention.MaxThreads = value;
    }

    /// <summary>Native memory that a state takes, in bytes.</summary>
    public static long MemoryBytes(ModelConfig config, int chunkTokens) => checked(Sizes(config, chunkTokens).Sum() * sizeof(float));

    /// <summary>Frees the buffers.</summary>
    public void Dispose()
    {
        foreach (AlignedBuffer buffer in _all)
        {
            buffer.Dispose();
        }
    }

    private static long[] Sizes(ModelConfig config, int chunkTokens)
    {
        long tokens = chunkTokens;
        long hidden = tokens * config.HiddenSize;
        long queries = tokens * config.NumAttentionHeads * config.HeadDim;
        long keys = tokens * config.NumKeyValueHeads * config.HeadDim;
        long feedForward = tokens * config.IntermediateSize;
        long angles = tokens * (config.HeadDim / 2);
        return [hidden, hidden, hidden, queries, queries, keys, keys, feedForward, feedForward, angles, angles, (long)LogitsRows * config.HiddenSize, (long)LogitsRows * config.VocabSize];
    }
}
