using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>The operations closed over an instruction set.</summary>
internal sealed class Operations<TIsa>(IsaTier tier) : Operations
    where TIsa : struct, IIsa
{
    /// <inheritdoc/>
    public override IsaTier Tier { get; } = tier;

    /// <inheritdoc/>
    public override void RmsNorm(ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, Span<float> destination) =>
        Ops.RmsNorm.Apply<TIsa>(x, gain, epsilon, destination);

    /// <inheritdoc/>
    public override void Rotate(Span<float> x, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines, int tokens, int heads, int headDim, RopeStyle style) =>
        Rope.Rotate<TIsa>(x, cosines, sines, tokens, heads, headDim, style);

    /// <inheritdoc/>
    public override void SwiGlu(Span<float> gate, ReadOnlySpan<float> up) => Ops.SwiGlu.Apply<TIsa>(gate, up);

    /// <inheritdoc/>
    public override void Add(Span<float> x, ReadOnlySpan<float> y) => Residual.Add<TIsa>(x, y);

    /// <inheritdoc/>
    public override void AddBias(Span<float> x, ReadOnlySpan<float> bias) => Residual.AddBias<TIsa>(x, bias);

    /// <inheritdoc/>
    public override void AddLowRank(
        ReadOnlySpan<float> packed, int rank, ReadOnlySpan<float> h, int tokens, float scale, Span<float> y, int rows, int stride) =>
        LowRank.Add<TIsa>(packed, rank, h, tokens, scale, y, rows, stride);

    /// <inheritdoc/>
    public override void AttendPage(
        KvType type, AttentionRows rows, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int pageStart, int window, float scale, bool mayHoldNaN)
    {
        switch (type)
        {
            case KvType.F32:
                Attention.AddPage<KvElementF32, TIsa>(rows, keys, values, pageStart, window, scale, mayHoldNaN);
                break;
            case KvType.F16:
                Attention.AddPage<KvElementF16, TIsa>(rows, keys, values, pageStart, window, scale, mayHoldNaN);
                break;
            default:
                Attention.AddPage<KvElementQ8, TIsa>(rows, keys, values, pageStart, window, scale, mayHoldNaN);
                break;
        }
    }

    /// <inheritdoc/>
    public override void FinishAttention(AttentionRows rows, int row, Span<float> destination) => Attention.Finish<TIsa>(rows, row, destination);

    /// <inheritdoc/>
    public override bool Store(KvType type, ReadOnlySpan<float> source, Span<byte> run, int slot, bool transposed) =>
        KvStore.Store<TIsa>(type, source, run, slot, transposed);

    /// <inheritdoc/>
    public override void SwiGlu(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> destination) => Ops.SwiGlu.ApplyInto<TIsa>(gate, up, destination);

    /// <inheritdoc/>
    public override void SwiGluBackward(Span<float> gate, Span<float> up, Span<float> outputGradient) => Ops.SwiGlu.Backward<TIsa>(gate, up, outputGradient);

    /// <inheritdoc/>
    public override void RmsNormBackward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, ReadOnlySpan<float> outputGradient, Span<float> inputGradient, Span<float> scales, Span<float> scratch) =>
        Ops.RmsNorm.Backward<TIsa>(x, gain, epsilon, outputGradient, inputGradient, scales, scratch);

    /// <inheritdoc/>
    public override void RotateBackward(
        Span<float> gradient, ReadOnlySpan<float> cosines, ReadOnlySpan<float> negatedSines, int tokens, int heads, int headDim, RopeStyle style) =>
        Rope.Backward<TIsa>(gradient, cosines, negatedSines, tokens, heads, headDim, style);

    /// <inheritdoc/>
    public override void AttendSequence(SequenceHead head, Span<float> output, Span<float> scratch) => SequenceAttention.Forward<TIsa>(head, output, scratch);

    /// <inheritdoc/>
    public override void AttendSequenceBackward(
        SequenceHead head, ReadOnlySpan<float> outputGradient, Span<float> queryGradient, Span<float> keyGradient, Span<float> valueGradient, Span<float> scratch) =>
        SequenceAttention.Backward<TIsa>(head, outputGradient, queryGradient, keyGradient, valueGradient, scratch);
}
