using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Models;

/// <summary>
/// The forward pass of the Llama family (Touvron et al. 2023; Hugging Face's modeling_llama.py), the same code for prompts and single tokens.
/// Holds weights and threads, which any number of sequences share; what a pass writes is in the caller's <see cref="DecoderState"/> and
/// <see cref="KvCache"/>.
/// Axes: T tokens of this pass, D hidden, H heads, Hkv key and value heads, dh head dimension, F feed-forward, V vocabulary.
/// </summary>
internal sealed class Decoder(ModelConfig config, DecoderWeights weights, IsaTier tier, int threads, int prefillThreads) : IDisposable
{
    private readonly Operations _ops = Operations.For(tier);
    private readonly WorkerPool _pool = new(Math.Max(threads, prefillThreads), ScratchElements(config));

    private byte[]? _fingerprint;

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; } = config;

    /// <summary>The instruction set in use.</summary>
    public IsaTier Tier => _ops.Tier;

    /// <summary>Threads that compute where each sequence has one token in a pass.</summary>
    public int Threads { get; } = threads;

    /// <summary>Threads that compute where a sequence has more.</summary>
    public int PrefillThreads { get; } = prefillThreads;

    /// <summary>Bytes of weights that a pass reads.</summary>
    public long WeightBytesPerPass => weights.BytesPerPass;

    /// <summary>SHA-256 of the model's shape and a sample of its weights: tells models apart, 32 bytes.</summary>
    public ReadOnlySpan<byte> Fingerprint => _fingerprint ??= ComputeFingerprint();

    /// <summary>Layout of the caches of this model.</summary>
    public static KvShape KvShapeOf(ModelConfig config) => new(config.NumHiddenLayers, config.NumKeyValueHeads, config.HeadDim);

    /// <summary>Native memory of the threads' work space, in bytes.</summary>
    public static long PoolBytes(ModelConfig config, int threads) => WorkerPool.MemoryBytes(threads, ScratchElements(config));

    /// <summary>
    /// Runs tokens through all blocks, from position <c>cache.Length</c> on, and adds them to the cache. Afterwards <c>state.Hidden</c> holds the
    /// last block's output. If it is cancelled or fails, the cache is as before.
    /// </summary>
    /// <param name="tokens">Token ids, <c>[T]</c>, T from 1 to <c>state.ChunkTokens</c>; the caller has checked their range.</param>
    /// <param name="cache">The sequence's keys and values.</param>
    /// <param name="state">Buffers.</param>
    /// <param name="tap">Sees the activations; may be null.</param>
    /// <param name="cancellationToken">Checked before each piece of each product.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Forward(ReadOnlySpan<int> tokens, KvCache cache, DecoderState state, IActivationTap? tap, CancellationToken cancellationToken)
    {
        int count = tokens.Length;
        int position = cache.Length;
        int halfDim = Config.HeadDim / 2;
        Span<float> hidden = Rows(state.Hidden, count, Config.HiddenSize);
        Span<float> normed = Rows(state.Normed, count, Config.HiddenSize);
        Span<float> branch = Rows(state.Branch, count, Config.HiddenSize);
        Span<float> queries = Rows(state.Queries, count, Config.NumAttentionHeads * Config.HeadDim);
        Span<float> keys = Rows(state.Keys, count, Config.NumKeyValueHeads * Config.HeadDim);
        Span<float> values = Rows(state.Values, count, Config.NumKeyValueHeads * Config.HeadDim);
        Span<float> gate = Rows(state.Gate, count, Config.IntermediateSize);
        Span<float> up = Rows(state.Up, count, Config.IntermediateSize);
        Span<float> cosines = Rows(state.Cosines, count, halfDim);
        Span<float> sines = Rows(state.Sines, count, halfDim);

        state.MaxThreads = count > 1 ? PrefillThreads : Threads;
        cache.Reserve(count);
        HoldWeights();
        try
        {
            GatherEmbeddings(tokens, hidden);
            Rope.FillTables(weights.RopeFrequencies, position, count, cosines, sines);
            for (int layer = 0; layer < weights.Blocks.Length; layer++)
            {
                BlockWeights block = weights.Blocks[layer];
                _ops.RmsNorm(hidden, block.AttentionNorm, Config.RmsNormEps, normed);                                       // [T, D]
                Multiply(block.Query, block.QueryBias, state, state.Normed, count, state.Queries, cancellationToken);                          // [T, H·dh]
                Multiply(block.Key, block.KeyBias, state, state.Normed, count, state.Keys, cancellationToken);                                 // [T, Hkv·dh]
                Multiply(block.Value, block.ValueBias, state, state.Normed, count, state.Values, cancellationToken);                           // [T, Hkv·dh]
                _ops.Rotate(queries, cosines, sines, count, Config.NumAttentionHeads, Config.HeadDim, weights.RopeStyle);
                _ops.Rotate(keys, cosines, sines, count, Config.NumKeyValueHeads, Config.HeadDim, weights.RopeStyle);
                cache.Store(layer, keys, values);
                state.Attention.Run(_ops, _pool, cache.Pages, layer, position, count, Config.SlidingWindow ?? int.MaxValue, state.Queries, state.Attended, cancellationToken);
                Multiply(block.Output, block.OutputBias, state, state.Attended, count, state.Branch, cancellationToken);                       // [T, D]
                _ops.Add(hidden, branch);

                _ops.RmsNorm(hidden, block.FeedForwardNorm, Config.RmsNormEps, normed);                                     // [T, D]
                Multiply(block.Gate, block.GateBias, state, state.Normed, count, state.Gate, cancellationToken);                               // [T, F]
                Multiply(block.Up, block.UpBias, state, state.Normed, count, state.Up, cancellationToken);                                     // [T, F]
                _ops.SwiGlu(gate, up);
                Multiply(block.Down, block.DownBias, state, state.Gate, count, state.Branch, cancellationToken);                               // [T, D]
                _ops.Add(hidden, branch);
                tap?.AfterBlock(layer, hidden);
            }
        }
        finally
        {
            ReleaseWeights();
        }

        cache.Commit(count);
    }

    /// <summary>Logits of tokens of the last <see cref="Forward"/>, into <c>state.Logits</c>.</summary>
    /// <param name="state">The buffers of that pass.</param>
    /// <param name="first">First token of the pass, from 0.</param>
    /// <param name="count">Tokens, 1 to <see cref="DecoderState.LogitsRows"/>.</param>
    /// <param name="cancellationToken">Checked before each piece of the product.</param>
    /// <returns>f32 <c>[count, V]</c>, valid until the next pass.</returns>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public ReadOnlySpan<float> Logits(DecoderState state, int first, int count, CancellationToken cancellationToken)
    {
        HoldWeights();
        try
        {
            Span<float> hidden = state.Hidden.Floats((long)first * Config.HiddenSize, count * Config.HiddenSize);
            _ops.RmsNorm(hidden, weights.FinalNorm, Config.RmsNormEps, Rows(state.FinalNormed, count, Config.HiddenSize)); // [count, D]
            weights.Output.Multiply(state.Matmul, _pool, state.FinalNormed, count, state.Logits, cancellationToken);                           // [count, V]
            return Rows(state.Logits, count, Config.VocabSize);
        }
        finally
        {
            ReleaseWeights();
        }
    }

    /// <summary>Ends the threads; passes under way on other threads fail with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose() => _pool.Dispose();

    private static Span<float> Rows(AlignedBuffer buffer, int rows, int width) => buffer.Floats(0, checked(rows * width));

    private static int ScratchElements(ModelConfig config)
    {
        int widest = Math.Max(Math.Max(config.HiddenSize, config.IntermediateSize), config.NumAttentionHeads * config.HeadDim);
        return Math.Max(MatmulJob.ScratchElements(widest), AttentionJob.ScratchElements(config.NumAttentionHeads / config.NumKeyValueHeads));
    }

    private void Multiply(WeightMatrix matrix, float[] bias, DecoderState state, AlignedBuffer input, int tokens, AlignedBuffer output, CancellationToken cancellationToken)
    {
        matrix.Multiply(state.Matmul, _pool, input, tokens, output, cancellationToken);
        if (bias.Length > 0)
        {
            _ops.AddBias(Rows(output, tokens, matrix.Rows), bias);
        }
    }

    private void GatherEmbeddings(ReadOnlySpan<int> tokens, Span<float> hidden)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            weights.TokenEmbedding.DequantizeRow(tokens[i], hidden.Slice(i * Config.HiddenSize, Config.HiddenSize));
        }
    }

    private byte[] ComputeFingerprint()
    {
        HoldWeights();
        try
        {
            return weights.ComputeFingerprint(Config);
        }
        finally
        {
            ReleaseWeights();
        }
    }

    private void HoldWeights()
    {
        for (int i = 0; i < weights.Memory.Count; i++)
        {
            try
            {
                weights.Memory[i].AddReference();
            }
            catch
            {
                for (int taken = 0; taken < i; taken++)
                {
                    weights.Memory[taken].Release();
                }

                throw;
            }
        }
    }

    private void ReleaseWeights()
    {
        for (int i = 0; i < weights.Memory.Count; i++)
        {
            weights.Memory[i].Release();
        }
    }
}
