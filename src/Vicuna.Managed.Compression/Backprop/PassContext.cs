using Vicuna.Managed.Kernels.Gemm;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Kernels.Threading;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>What all parts of a pass share: weights, threads, products, and the tables of the batch under way. Holds the weights' memory while it lives.</summary>
internal sealed class PassContext : IDisposable
{
    // Elements below which another thread does not help.
    private const int GrainElements = 16 << 10;

    // Tokens that a matrix is multiplied with at a time: they pass by every few rows of it, and more would not stay in the caches.
    private const int TokenBlock = 384;

    private readonly MatmulInput _input;
    private readonly MatmulJob _matmul = new();
    private readonly InputGradient _inputGradient;

    /// <summary>Allocates, and starts the threads.</summary>
    /// <param name="model">The model.</param>
    /// <param name="limits">How large passes get.</param>
    /// <exception cref="ArgumentOutOfRangeException">The passes are too large for arrays of 2 GiB.</exception>
    public PassContext(PassModel model, PassLimits limits)
    {
        Config = model.Config;
        Weights = model.Weights;
        Limits = limits;
        long widest = Math.Max(Math.Max(Config.HiddenSize, Config.IntermediateSize), (long)Config.NumAttentionHeads * Config.HeadDim);
        long most = int.MaxValue / sizeof(float) / widest;
        if (limits.Tokens > most)
        {
            throw new ArgumentOutOfRangeException(nameof(limits), limits.Tokens, $"Expected at most {most} tokens in a pass of a model with rows of {widest}, found {limits.Tokens}.");
        }

        int tokens = Math.Max(limits.Tokens, limits.TargetRows);
        Tier = model.Tier;
        Operations = Operations.For(Tier);
        int scratch = Math.Max(
            Math.Max(MatmulJob.ScratchElements((int)widest), WeightGradient.ScratchElements((int)widest)),
            SequenceAttention.ScratchElements(limits.SequenceTokens, Config.HeadDim));
        foreach (MemoryBlock block in Weights.Memory)
        {
            block.AddReference();
        }

        Pool = new WorkerPool(model.Threads, scratch);
        _input = new MatmulInput(Tier, Math.Min(tokens, TokenBlock), (int)widest);
        _inputGradient = new InputGradient(Tier, tokens, (int)widest);
        int half = Config.HeadDim / 2;
        Cosines = AlignedBuffer.AllocateFloats((long)limits.Tokens * half);
        Sines = AlignedBuffer.AllocateFloats((long)limits.Tokens * half);
        NegatedSines = AlignedBuffer.AllocateFloats((long)limits.Tokens * half);
    }

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; }

    /// <summary>The model's weights.</summary>
    public DecoderWeights Weights { get; }

    /// <summary>How large passes get.</summary>
    public PassLimits Limits { get; }

    /// <summary>Instruction set.</summary>
    public IsaTier Tier { get; }

    /// <summary>Operations on spans.</summary>
    public Operations Operations { get; }

    /// <summary>The threads.</summary>
    public WorkerPool Pool { get; }

    /// <summary>The sequences of the batch under way.</summary>
    public TokenRun[] Runs { get; private set; } = [];

    /// <summary>Tokens of the batch under way.</summary>
    public int Tokens { get; private set; }

    /// <summary>Cosines of the batch's positions, f32 <c>[T, dh/2]</c>.</summary>
    public AlignedBuffer Cosines { get; }

    /// <summary>Sines, f32 <c>[T, dh/2]</c>.</summary>
    public AlignedBuffer Sines { get; }

    /// <summary>Sines times -1, f32 <c>[T, dh/2]</c>.</summary>
    public AlignedBuffer NegatedSines { get; }

    /// <summary>Takes the batch that the next passes are about.</summary>
    /// <exception cref="ArgumentException">It is larger than there is room for.</exception>
    public void Begin(TokenBatch batch)
    {
        int longest = batch.Runs.Length == 0 ? 0 : batch.Runs.Max(run => run.Length);
        if (batch.Ids.Length > Limits.Tokens || longest > Limits.SequenceTokens)
        {
            throw new ArgumentException(
                $"Expected up to {Limits.Tokens} tokens in sequences of up to {Limits.SequenceTokens}, found {batch.Ids.Length} and {longest}.", nameof(batch));
        }

        Runs = batch.Runs;
        Tokens = batch.Ids.Length;
        int half = Config.HeadDim / 2;
        foreach (TokenRun run in Runs)
        {
            Span<float> sines = Sines.Floats((long)run.Start * half, run.Length * half);
            Rope.FillTables(Weights.RopeFrequencies, 0, run.Length, Cosines.Floats((long)run.Start * half, run.Length * half), sines);
            System.Numerics.Tensors.TensorPrimitives.Negate(sines, NegatedSines.Floats((long)run.Start * half, sines.Length));
        }
    }

    /// <summary>Y = X · Wᵀ.</summary>
    /// <param name="matrix">W, <c>[out, in]</c>.</param>
    /// <param name="x">f32 <c>[tokens, in]</c>.</param>
    /// <param name="y">f32 <c>[tokens, out]</c>.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public void Multiply(WeightMatrix matrix, AlignedBuffer x, AlignedBuffer y, int tokens, CancellationToken cancellationToken)
    {
        for (int first = 0; first < tokens; first += TokenBlock)
        {
            _input.Set(x, Math.Min(TokenBlock, tokens - first), matrix.Columns, first);
            _matmul.Add(matrix, y, first);
            _matmul.Run(Pool, _input, cancellationToken);
        }
    }

    /// <summary>dX (+)= dY · W; see <see cref="InputGradient.Run"/>.</summary>
    public void MultiplyBackward(WeightMatrix matrix, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens, bool add, CancellationToken cancellationToken) =>
        _inputGradient.Run(Pool, matrix, outputGradient, inputGradient, tokens, add, cancellationToken);

    /// <summary>Runs work over rows of a width on all threads.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="width">Elements of a row.</param>
    /// <param name="work">The work.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public void ForRows(int rows, int width, RangeWork work, CancellationToken cancellationToken) =>
        Pool.Run(new RangeJob(work), rows, Math.Max(1, GrainElements / Math.Max(1, width)), cancellationToken);

    /// <summary>Ends the threads and frees the memory.</summary>
    public void Dispose()
    {
        Pool.Dispose();
        _input.Dispose();
        _inputGradient.Dispose();
        Cosines.Dispose();
        Sines.Dispose();
        NegatedSines.Dispose();
        foreach (MemoryBlock block in Weights.Memory)
        {
            block.Release();
        }
    }
}
