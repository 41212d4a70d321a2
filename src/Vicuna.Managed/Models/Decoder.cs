using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;

namespace Vicuna.Managed.Models;

/// <summary>
/// The forward pass of the Llama family (Touvron et al. 2023; Hugging Face's modeling_llama.py), the same code for prompts and single tokens, of
/// one sequence or of many at a time. Holds weights and threads, which any number of sequences share; what a pass writes is in a
/// <see cref="DecoderState"/> that it borrows and in the sequences' <see cref="KvCache"/>s.
/// Axes: T tokens of this pass, D hidden, H heads, Hkv key and value heads, dh head dimension, F feed-forward, V vocabulary.
/// </summary>
internal sealed class Decoder : IDisposable
{
    private readonly DecoderWeights _weights;
    private readonly Operations _ops;
    private readonly WorkerPool _pool;
    private readonly DecoderStatePool _states;

    private byte[]? _fingerprint;

    /// <summary>Starts the threads.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="weights">The weights; whoever loaded them frees them.</param>
    /// <param name="tier">Instruction set.</param>
    /// <param name="threads">Threads that compute.</param>
    /// <param name="prefillThreads">Threads that compute where a sequence has several tokens in a pass.</param>
    /// <param name="keyValueType">How keys and values are stored.</param>
    /// <param name="chunkTokens">Most tokens of one pass.</param>
    public Decoder(ModelConfig config, DecoderWeights weights, IsaTier tier, int threads, int prefillThreads, KeyValueType keyValueType, int chunkTokens)
    {
        Config = config;
        CacheShape = KvShapeOf(config, keyValueType);
        ChunkTokens = chunkTokens;
        _weights = weights;
        _ops = Operations.For(tier);
        _states = new DecoderStatePool(() => new DecoderState(config, CacheShape, weights.RopeStyle, chunkTokens, tier));
        // The first state now: the memory of a model that runs does not depend on whether it has run.
        _states.Return(_states.Rent());
        Threads = threads;
        PrefillThreads = prefillThreads;
        _pool = new WorkerPool(Math.Max(threads, prefillThreads), ScratchElements(config));
    }

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; }

    /// <summary>Layout of the caches.</summary>
    public KvShape CacheShape { get; }

    /// <summary>Most tokens of one pass, all sequences together.</summary>
    public int ChunkTokens { get; }

    /// <summary>The instruction set in use.</summary>
    public IsaTier Tier => _ops.Tier;

    /// <summary>Threads that compute where each sequence has one token in a pass.</summary>
    public int Threads { get; }

    /// <summary>Threads that compute where a sequence has more.</summary>
    public int PrefillThreads { get; }

    /// <summary>Bytes of weights that a pass reads.</summary>
    public long WeightBytesPerPass => _weights.BytesPerPass;

    /// <summary>SHA-256 of the model's shape and a sample of its weights: tells models apart, 32 bytes.</summary>
    public ReadOnlySpan<byte> Fingerprint => _fingerprint ??= ComputeFingerprint();

    /// <summary>Layout of the caches of a model.</summary>
    public static KvShape KvShapeOf(ModelConfig config, KeyValueType type) => new(config.NumHiddenLayers, config.NumKeyValueHeads, config.HeadDim, type switch
    {
        KeyValueType.F32 => KvType.F32,
        KeyValueType.Q8 => KvType.Q8,
        _ => KvType.F16,
    });

    /// <summary>Native memory of the threads' work space, in bytes.</summary>
    public static long PoolBytes(ModelConfig config, int threads) => WorkerPool.MemoryBytes(threads, ScratchElements(config));

    /// <summary>Borrows the buffers of a pass; <see cref="ReturnState"/> must follow.</summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public DecoderState RentState() => _states.Rent();

    /// <summary>Gives buffers back; what they hold is void then.</summary>
    public void ReturnState(DecoderState state) => _states.Return(state);

    /// <summary>
    /// Runs tokens of one or several sequences through all blocks, each from its cache's length on, and adds them to the caches. Afterwards
    /// <c>state.Hidden</c> holds the last block's output. A sequence's bits do not depend on the others. If it is cancelled or fails, all caches
    /// are as before.
    /// </summary>
    /// <param name="tokens">Token ids, <c>[T]</c>, T from 1 to <see cref="ChunkTokens"/>, slice after slice; the caller has checked their range.</param>
    /// <param name="slices">The sequences, none twice.</param>
    /// <param name="state">Buffers.</param>
    /// <param name="tap">Sees the activations; may be null.</param>
    /// <param name="cancellationToken">Checked before each piece of each product.</param>
    /// <exception cref="ArgumentException">The slices are not those of the tokens, or name a sequence twice.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Forward(ReadOnlySpan<int> tokens, ReadOnlySpan<SequenceSlice> slices, DecoderState state, IActivationTap? tap, CancellationToken cancellationToken)
    {
        Check(tokens.Length, slices);
        try
        {
            state.Runs.Clear();
            state.AdapterPass.Begin(slices);
            foreach (SequenceSlice slice in slices)
            {
                slice.Cache.Reserve(slice.Tokens);
                state.Runs.Add(new KvRun(slice.Cache.Pages, slice.Cache.Length, slice.Tokens));
            }

            tokens.CopyTo(state.TokenIds);
            HoldWeights();
            try
            {
                RunBlocks(tokens.Length, state, tap, cancellationToken);
            }
            finally
            {
                ReleaseWeights();
            }
        }
        catch
        {
            state.AdapterPass.End();
            foreach (SequenceSlice slice in slices)
            {
                slice.Cache.Truncate(slice.Cache.Length);
            }

            throw;
        }

        // An idle state must not keep what sequences have let go of.
        state.Runs.Clear();
        state.AdapterPass.End();
        foreach (SequenceSlice slice in slices)
        {
            slice.Cache.Commit(slice.Tokens);
        }
    }

    /// <summary>Logits of tokens of the last <see cref="Forward"/>, into <c>state.Logits</c>.</summary>
    /// <param name="state">The buffers of that pass.</param>
    /// <param name="tokens">Numbers of tokens in the pass, <c>[count]</c>, count from 1 to <see cref="DecoderState.LogitsRows"/>.</param>
    /// <param name="cancellationToken">Checked before each piece of the product.</param>
    /// <returns>f32 <c>[count, V]</c>, valid until the next pass.</returns>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public ReadOnlySpan<float> Logits(DecoderState state, ReadOnlySpan<int> tokens, CancellationToken cancellationToken)
    {
        HoldWeights();
        try
        {
            for (int i = 0; i < tokens.Length; i++)
            {
                Normalize(state, tokens[i], i); // [count, D]
            }

            Multiply(state, state.FinalNormed, Config.HiddenSize, tokens.Length, [new(_weights.Output, [], state.Logits)], cancellationToken); // [count, V]
            return state.Logits.Floats(0, checked(tokens.Length * Config.VocabSize));
        }
        finally
        {
            ReleaseWeights();
        }
    }

    /// <summary>The last block's output for a token of the last <see cref="Forward"/>, normalized: Hugging Face's <c>last_hidden_state</c>.</summary>
    /// <param name="state">The buffers of that pass.</param>
    /// <param name="token">Number of the token in the pass.</param>
    /// <returns>f32 <c>[D]</c>, valid until the next call.</returns>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public ReadOnlySpan<float> FinalNorm(DecoderState state, int token)
    {
        HoldWeights();
        try
        {
            return Normalize(state, token, 0);
        }
        finally
        {
            ReleaseWeights();
        }
    }

    /// <summary>Ends the threads; passes under way on other threads fail with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        _pool.Dispose();
        _states.Dispose();
    }

    private static int ScratchElements(ModelConfig config)
    {
        return Math.Max(MatmulJob.ScratchElements(DecoderState.WidestInput(config)), AttentionJob.ScratchElements(config.HeadDim));
    }

    private Span<float> Normalize(DecoderState state, int token, int row)
    {
        Span<float> normed = state.FinalNormed.Floats((long)row * Config.HiddenSize, Config.HiddenSize);
        _ops.RmsNorm(state.Hidden.Floats((long)token * Config.HiddenSize, Config.HiddenSize), _weights.FinalNorm, Config.RmsNormEps, normed);
        return normed;
    }

    private void RunBlocks(int count, DecoderState state, IActivationTap? tap, CancellationToken cancel)
    {
        state.MaxThreads = count > state.Runs.Count ? PrefillThreads : Threads;
        TokenJob tokens = state.Tokens;
        state.Embedding.Run(_weights.TokenEmbedding, _pool, state.TokenIds, count, state.Hidden, cancel);                                  // [T, D]
        FillRopeTables(state);
        for (int layer = 0; layer < _weights.Blocks.Length; layer++)
        {
            BlockWeights block = _weights.Blocks[layer];
            state.AdapterPass.Layer = layer;
            tokens.RmsNorm(_ops, _pool, state.Hidden, block.AttentionNorm, Config.RmsNormEps, state.Normed, count, cancel);                // [T, D]
            Multiply(state, state.Normed, Config.HiddenSize, count, [
                new(block.Query, block.QueryBias, state.Queries, BlockMatrix.Query),                                                        // [T, H·dh]
                new(block.Key, block.KeyBias, state.Keys, BlockMatrix.Key), new(block.Value, block.ValueBias, state.Values, BlockMatrix.Value)], cancel);
            state.Store.Run(_ops, _pool, state.Runs, layer, state.Queries, state.Keys, state.Values, state.Cosines, state.Sines, cancel);
            state.Attention.Run(_ops, _pool, state.Runs, layer, Config.SlidingWindow ?? int.MaxValue, state.Queries, state.Attended, cancel); // [T, H·dh]
            Multiply(state, state.Attended, Config.NumAttentionHeads * Config.HeadDim, count, [
                new(block.Output, block.OutputBias, state.Branch, BlockMatrix.Output)], cancel);                                            // [T, D]

            tokens.AddThenRmsNorm(_ops, _pool, state.Hidden, state.Branch, block.FeedForwardNorm, Config.RmsNormEps, state.Normed, count, cancel);
            Multiply(state, state.Normed, Config.HiddenSize, count, [
                new(block.Gate, block.GateBias, state.Gate, BlockMatrix.Gate), new(block.Up, block.UpBias, state.Up, BlockMatrix.Up)], cancel); // [T, F]
            tokens.SwiGlu(_ops, _pool, state.Gate, state.Up, Config.IntermediateSize, count, cancel);
            Multiply(state, state.Gate, Config.IntermediateSize, count, [new(block.Down, block.DownBias, state.Branch, BlockMatrix.Down)], cancel); // [T, D]
            tokens.Add(_ops, _pool, state.Hidden, state.Branch, Config.HiddenSize, count, cancel);
            tap?.AfterBlock(layer, state.Hidden.Floats(0, checked(count * Config.HiddenSize)));
        }
    }

    // Products of one input, in one dispatch, and what adapters add to them.
    private void Multiply(DecoderState state, AlignedBuffer input, int columns, int count, scoped ReadOnlySpan<Projection> projections, CancellationToken cancellationToken)
    {
        state.Input.Set(input, count, columns);
        foreach (Projection projection in projections)
        {
            state.Matmul.Add(projection.Matrix, projection.Output);
        }

        state.Matmul.Run(_pool, state.Input, cancellationToken);
        foreach (Projection projection in projections)
        {
            if (projection.Bias.Length > 0)
            {
                state.Tokens.AddBias(_ops, _pool, projection.Output, projection.Bias, count, cancellationToken);
            }
        }

        if (state.AdapterPass.IsActive)
        {
            state.AdapterPass.Run(_ops, _pool, input, columns, projections, cancellationToken);
        }
    }

    private void FillRopeTables(DecoderState state)
    {
        int half = Config.HeadDim / 2;
        long done = 0;
        for (int i = 0; i < state.Runs.Count; i++)
        {
            KvRun run = state.Runs[i];
            Span<float> cosines = state.Cosines.Floats(done * half, run.Tokens * half);
            Span<float> sines = state.Sines.Floats(done * half, run.Tokens * half);
            Rope.FillTables(_weights.RopeFrequencies, run.Position, run.Tokens, cosines, sines);
            done += run.Tokens;
        }
    }

    private void Check(int tokens, ReadOnlySpan<SequenceSlice> slices)
    {
        int sum = 0;
        for (int i = 0; i < slices.Length; i++)
        {
            sum = checked(sum + Math.Max(slices[i].Tokens, 0));
            bool twice = false;
            for (int j = 0; j < i; j++)
            {
                twice |= ReferenceEquals(slices[i].Cache, slices[j].Cache);
            }

            if (slices[i].Tokens < 1 || twice)
            {
                throw new ArgumentException($"Slice {i}: expected one or more tokens of a sequence that is not in the pass already, found {slices[i].Tokens}.", nameof(slices));
            }
        }

        if (sum != tokens || tokens < 1 || tokens > ChunkTokens)
        {
            throw new ArgumentException($"Expected 1 to {ChunkTokens} tokens, as many as the slices have, found {tokens} in slices of {sum}.", nameof(tokens));
        }
    }

    private byte[] ComputeFingerprint()
    {
        HoldWeights();
        try
        {
            return _weights.ComputeFingerprint(Config);
        }
        finally
        {
            ReleaseWeights();
        }
    }

    private void HoldWeights()
    {
        for (int i = 0; i < _weights.Memory.Count; i++)
        {
            try
            {
                _weights.Memory[i].AddReference();
            }
            catch
            {
                for (int taken = 0; taken < i; taken++)
                {
                    _weights.Memory[taken].Release();
                }

                throw;
            }
        }
    }

    private void ReleaseWeights()
    {
        for (int i = 0; i < _weights.Memory.Count; i++)
        {
            _weights.Memory[i].Release();
        }
    }
}
