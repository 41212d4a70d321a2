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
    public override void AttendPage(
        ReadOnlySpan<float> queries, ReadOnlySpan<float> keys, ReadOnlySpan<float> values, float scale, Span<float> maxima, Span<float> sums, Span<float> output, Span<float> scores) =>
        Attention.AddPage<TIsa>(queries, keys, values, scale, maxima, sums, output, scores);

    /// <inheritdoc/>
    public override void FinishAttention(ReadOnlySpan<float> sums, Span<float> output) => Attention.Finish<TIsa>(sums, output);
}
