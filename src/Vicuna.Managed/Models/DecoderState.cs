using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;

namespace Vicuna.Managed.Models;

/// <summary>Every buffer that a forward pass writes, with its shape, and its jobs. T is <see cref="ChunkTokens"/>.</summary>
internal sealed class DecoderState : IDisposable
{
    /// <summary>Most tokens whose logits are computed together.</summary>
    public const int LogitsRows = 32;

    private readonly AlignedBuffer[] _all;

    /// <summary>Allocates the buffers.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="cache">Layout of the caches.</param>
    /// <param name="style">Which elements of a head rotary embedding pairs.</param>
    /// <param name="chunkTokens">Most tokens of one pass.</param>
    /// <param name="tier">The instruction set of the products.</param>
    public DecoderState(ModelConfig config, KvShape cache, RopeStyle style, int chunkTokens, IsaTier tier)
    {
        ChunkTokens = chunkTokens;
        long[] sizes = Sizes(config, chunkTokens);
        _all = new AlignedBuffer[sizes.Length];
        for (int i = 0; i < sizes.Length; i++)
        {
            _all[i] = AlignedBuffer.AllocateFloats(sizes[i]);
        }

        Input = new MatmulInput(tier, Math.Max(chunkTokens, LogitsRows), WidestInput(config));
        TokenIds = new int[chunkTokens];
        Runs = new List<KvRun>(chunkTokens);
        Store = new KvStoreJob(cache, config.NumAttentionHeads, style, chunkTokens);
        Attention = new AttentionJob(cache, config.NumAttentionHeads, chunkTokens);
    }

    /// <summary>Most tokens of one pass.</summary>
    public int ChunkTokens { get; }

    /// <summary>The pass's token ids, <c>[T]</c>.</summary>
    public int[] TokenIds { get; }

    /// <summary>The pass's sequences.</summary>
    public List<KvRun> Runs { get; }

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

    /// <summary>The activations of the products, as the weights' formats read them.</summary>
    public MatmulInput Input { get; }

    /// <summary>The matrix product as a reusable job.</summary>
    public MatmulJob Matmul { get; } = new();

    /// <summary>The lookup of embeddings as a reusable job.</summary>
    public EmbeddingJob Embedding { get; } = new();

    /// <summary>Operations on single tokens as a reusable job.</summary>
    public TokenJob Tokens { get; } = new();

    /// <summary>Rotary embedding and the cache's filling as a reusable job.</summary>
    public KvStoreJob Store { get; }

    /// <summary>Attention as a reusable job.</summary>
    public AttentionJob Attention { get; }

    /// <summary>What the sequences' adapters add; takes memory only where a sequence has some.</summary>
    public AdapterPass AdapterPass { get; } = new();

    /// <summary>Most threads that the jobs of a pass use.</summary>
    public int MaxThreads
    {
        set => Matmul.MaxThreads = Embedding.MaxThreads = Tokens.MaxThreads = Store.MaxThreads = Attention.MaxThreads = AdapterPass.MaxThreads = value;
    }

    /// <summary>Native memory that a state takes, in bytes; without that of adapters.</summary>
    public static long MemoryBytes(ModelConfig config, int chunkTokens) => checked(
        (Sizes(config, chunkTokens).Sum() * sizeof(float)) + MatmulInput.PreparedBytes(Math.Max(chunkTokens, LogitsRows), WidestInput(config)));

    /// <summary>Most columns that a matrix of the model has, dimensionless.</summary>
    public static int WidestInput(ModelConfig config) => Math.Max(Math.Max(config.HiddenSize, config.IntermediateSize), config.NumAttentionHeads * config.HeadDim);

    /// <summary>Frees the buffers.</summary>
    public void Dispose()
    {
        foreach (AlignedBuffer buffer in _all)
        {
            buffer.Dispose();
        }

        Input.Dispose();
        AdapterPass.Dispose();
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
