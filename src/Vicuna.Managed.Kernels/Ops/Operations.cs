using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>All operations of one tier behind one virtual call each; see the classes of the same names for their contracts.</summary>
internal abstract class Operations
{
    /// <summary>The tier.</summary>
    public abstract IsaTier Tier { get; }

    /// <summary>The operations of a tier.</summary>
    /// <exception cref="PlatformNotSupportedException">The tier cannot run here.</exception>
    public static Operations For(IsaTier tier) => IsaTiers.Require(tier) switch
    {
        IsaTier.Avx512 => new Operations<Avx512>(tier),
        IsaTier.Avx2 => new Operations<Avx2>(tier),
        _ => new Operations<Scalar>(tier),
    };

    /// <summary>See <see cref="Ops.RmsNorm.Apply"/>.</summary>
    public abstract void RmsNorm(ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, Span<float> destination);

    /// <summary>See <see cref="Rope.Rotate"/>.</summary>
    public abstract void Rotate(Span<float> x, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, int tokens, int heads, int headDim, RopeStyle style);

    /// <summary>See <see cref="Ops.SwiGlu.Apply"/>.</summary>
    public abstract void SwiGlu(Span<float> gate, ReadOnlySpan<float> up);

    /// <summary>See <see cref="Residual.Add"/>.</summary>
    public abstract void Add(Span<float> x, ReadOnlySpan<float> y);

    /// <summary>See <see cref="Residual.AddBias"/>.</summary>
    public abstract void AddBias(Span<float> x, ReadOnlySpan<float> bias);

    /// <summary>See <see cref="LowRank.Add"/>.</summary>
    public abstract void AddLowRank(ReadOnlySpan<float> packed, int rank, ReadOnlySpan<float> h, int tokens, float scale, Span<float> y, int rows, int stride);

    /// <summary>See <see cref="Attention.AddPage"/>.</summary>
    public abstract void AttendPage(
        KvType type, AttentionRows rows, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int pageStart, int window, float scale, bool mayHoldNaN);

    /// <summary>See <see cref="Attention.Finish"/>.</summary>
    public abstract void FinishAttention(AttentionRows rows, int row, Span<float> destination);

    /// <summary>See <see cref="KvStore.Store"/>.</summary>
    public abstract bool Store(KvType type, ReadOnlySpan<float> source, Span<byte> run, int slot, bool transposed);

    /// <summary>See <see cref="Ops.SwiGlu.ApplyInto"/>.</summary>
    public abstract void SwiGlu(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> destination);

    /// <summary>See <see cref="Ops.SwiGlu.Backward"/>.</summary>
    public abstract void SwiGluBackward(Span<float> gate, Span<float> up, Span<float> outputGradient);

    /// <summary>See <see cref="Ops.RmsNorm.Backward"/>.</summary>
    public abstract void RmsNormBackward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, ReadOnlySpan<float> outputGradient, Span<float> inputGradient, Span<float> scales, Span<float> scratch);

    /// <summary>See <see cref="Rope.Backward"/>.</summary>
    public abstract void RotateBackward(
        Span<float> gradient, ReadOnlySpan<float> cosines, ReadOnlySpan<float> negatedSines, int tokens, int heads, int headDim, RopeStyle style);

    /// <summary>See <see cref="SequenceAttention.Forward"/>.</summary>
    public abstract void AttendSequence(SequenceHead head, Span<float> output, Span<float> scratch);

    /// <summary>See <see cref="SequenceAttention.Backward"/>.</summary>
    public abstract void AttendSequenceBackward(
        SequenceHead head, ReadOnlySpan<float> outputGradient, Span<float> queryGradient, Span<float> keyGradient, Span<float> valueGradient, Span<float> scratch);
}
