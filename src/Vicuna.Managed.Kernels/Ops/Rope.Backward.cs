using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <content>The gradient: a rotation by the opposite angle.</content>
internal static partial class Rope
{
    /// <summary>Turns the gradient of rotated heads into that of the unrotated ones, in place.</summary>
    /// <param name="gradient">f32 <c>[tokens, heads, d]</c>.</param>
    /// <param name="cosines">f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="negatedSines">Sines of the angles times -1, f32 <c>[tokens, d/2]</c>.</param>
    /// <param name="tokens">Number of tokens, dimensionless.</param>
    /// <param name="heads">Heads per token, dimensionless.</param>
    /// <param name="headDim">d, elements per head, even.</param>
    /// <param name="style">Which elements form pairs.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Backward<TIsa>(
        Span<float> gradient, ReadOnlySpan<float> cosines, ReadOnlySpan<float> negatedSines, int tokens, int heads, int headDim, RopeStyle style)
        where TIsa : struct, IIsa =>
        Rotate<TIsa>(gradient, cosines, negatedSines, tokens, heads, headDim, style);
}
