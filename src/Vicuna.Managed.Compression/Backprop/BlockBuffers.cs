using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>What one block computes on the way forward and back: the work space of a pass, shared by all blocks. Axes as in <see cref="Decoder"/>.</summary>
internal sealed class BlockBuffers : IDisposable
{
    /// <summary>Allocates; the gradients' part takes memory only when it is written to.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="tokens">Most tokens, T.</param>
    public BlockBuffers(ModelConfig config, int tokens)
    {
        long hidden = (long)tokens * config.HiddenSize;
        long queries = (long)tokens * config.NumAttentionHeads * config.HeadDim;
        long keys = (long)tokens * config.NumKeyValueHeads * config.HeadDim;
        long feedForward = (long)tokens * config.IntermediateSize;
        AttentionNormed = AlignedBuffer.AllocateFloats(hidden);
        Queries = AlignedBuffer.AllocateFloats(queries);
        Keys = AlignedBuffer.AllocateFloats(keys);
        Values = AlignedBuffer.AllocateFloats(keys);
        Attended = AlignedBuffer.AllocateFloats(queries);
        Branch = AlignedBuffer.AllocateFloats(hidden);
        Middle = AlignedBuffer.AllocateFloats(hidden);
        FeedForwardNormed = AlignedBuffer.AllocateFloats(hidden);
        Gate = AlignedBuffer.AllocateFloats(feedForward);
        Up = AlignedBuffer.AllocateFloats(feedForward);
        Activated = AlignedBuffer.AllocateFloats(feedForward);
        NormedGradient = AlignedBuffer.AllocateFloats(hidden);
        ActivatedGradient = AlignedBuffer.AllocateFloats(feedForward);
        AttendedGradient = AlignedBuffer.AllocateFloats(queries);
        QueryGradient = AlignedBuffer.AllocateFloats(queries);
        KeyGradientOfHeads = AlignedBuffer.AllocateFloats(queries);
        ValueGradientOfHeads = AlignedBuffer.AllocateFloats(queries);
        bool isGrouped = config.NumKeyValueHeads != config.NumAttentionHeads;
        KeyGradient = isGrouped ? AlignedBuffer.AllocateFloats(keys) : KeyGradientOfHeads;
        ValueGradient = isGrouped ? AlignedBuffer.AllocateFloats(keys) : ValueGradientOfHeads;
        Scales = AlignedBuffer.AllocateFloats(tokens);
    }

    /// <summary>The input, normalized, <c>[T, D]</c>.</summary>
    public AlignedBuffer AttentionNormed { get; }

    /// <summary>Q after rotation, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer Queries { get; }

    /// <summary>K after rotation, <c>[T, Hkv·dh]</c>.</summary>
    public AlignedBuffer Keys { get; }

    /// <summary>V, <c>[T, Hkv·dh]</c>.</summary>
    public AlignedBuffer Values { get; }

    /// <summary>Output of the attention, before its projection, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer Attended { get; }

    /// <summary>What a half of the block adds to the residual stream, <c>[T, D]</c>.</summary>
    public AlignedBuffer Branch { get; }

    /// <summary>The residual stream between the halves, <c>[T, D]</c>.</summary>
    public AlignedBuffer Middle { get; }

    /// <summary>The same, normalized, <c>[T, D]</c>.</summary>
    public AlignedBuffer FeedForwardNormed { get; }

    /// <summary>Output of gate_proj, then its gradient, <c>[T, F]</c>.</summary>
    public AlignedBuffer Gate { get; }

    /// <summary>Output of up_proj, then its gradient, <c>[T, F]</c>.</summary>
    public AlignedBuffer Up { get; }

    /// <summary>silu(gate) · up, <c>[T, F]</c>.</summary>
    public AlignedBuffer Activated { get; }

    /// <summary>Gradient of a normalized input, <c>[T, D]</c>.</summary>
    public AlignedBuffer NormedGradient { get; }

    /// <summary>Gradient of <see cref="Activated"/>, <c>[T, F]</c>.</summary>
    public AlignedBuffer ActivatedGradient { get; }

    /// <summary>Gradient of <see cref="Attended"/>, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer AttendedGradient { get; }

    /// <summary>Gradient of Q, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer QueryGradient { get; }

    /// <summary>Gradient of K by query heads, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer KeyGradientOfHeads { get; }

    /// <summary>Gradient of V by query heads, <c>[T, H·dh]</c>.</summary>
    public AlignedBuffer ValueGradientOfHeads { get; }

    /// <summary>Gradient of K, <c>[T, Hkv·dh]</c>; the one by query heads where each has its own keys.</summary>
    public AlignedBuffer KeyGradient { get; }

    /// <summary>Gradient of V, <c>[T, Hkv·dh]</c>; the one by query heads where each has its own values.</summary>
    public AlignedBuffer ValueGradient { get; }

    /// <summary>1 / rms of every token, <c>[T]</c>.</summary>
    public AlignedBuffer Scales { get; }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        AlignedBuffer[] all =
        [
            AttentionNormed, Queries, Keys, Values, Attended, Branch, Middle, FeedForwardNormed, Gate, Up, Activated, NormedGradient, ActivatedGradient,
            AttendedGradient, QueryGradient, KeyGradientOfHeads, ValueGradientOfHeads, KeyGradient, ValueGradient, Scales,
        ];
        foreach (AlignedBuffer buffer in all.Distinct())
        {
            buffer.Dispose();
        }
    }
}
