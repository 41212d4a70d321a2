using System.Numerics.Tensors;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <content>
/// The gradient. With r = 1 / √(mean(x²) + ε), y = x · r · g: dx = r · (g · dy) - x · r³ / D · Σ x · g · dy, and dg = Σ over tokens of dy · x · r.
/// </content>
internal static partial class RmsNorm
{
    /// <summary>Adds the input's gradient, row by row.</summary>
    /// <param name="x">The input of <see cref="Apply"/>, f32 <c>[T, D]</c>.</param>
    /// <param name="gain">Gain g, f32 <c>[D]</c>.</param>
    /// <param name="epsilon">ε, dimensionless.</param>
    /// <param name="outputGradient">dy, f32 <c>[T, D]</c>.</param>
    /// <param name="inputGradient">f32 <c>[T, D]</c>; dx is added to it.</param>
    /// <param name="scales">Receives r of every row, f32 <c>[T]</c>.</param>
    /// <param name="scratch">Work space, f32 <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not multiples of D.</exception>
    public static void Backward<TIsa>(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, ReadOnlySpan<float> outputGradient, Span<float> inputGradient, Span<float> scales, Span<float> scratch)
        where TIsa : struct, IIsa
    {
        int width = gain.Length;
        if (width == 0 || x.Length % width != 0 || x.Length != outputGradient.Length || x.Length != inputGradient.Length || scales.Length != x.Length / width)
        {
            throw new ArgumentException(
                $"x [{x.Length}], the gradients [{outputGradient.Length}], [{inputGradient.Length}] and the scales [{scales.Length}] are not rows of {width} elements.", nameof(x));
        }

        Span<float> scaled = scratch[..width];
        for (int row = 0; row < scales.Length; row++)
        {
            ReadOnlySpan<float> source = x.Slice(row * width, width);
            Span<float> target = inputGradient.Slice(row * width, width);
            double scale = 1 / Math.Sqrt((SumOfSquares<TIsa>(source) / width) + epsilon);
            scales[row] = (float)scale;
            TensorPrimitives.Multiply(outputGradient.Slice(row * width, width), gain, scaled);
            double inner = TensorPrimitives.Dot(scaled, source);
            TensorPrimitives.MultiplyAdd(scaled, (float)scale, target, target);
            TensorPrimitives.MultiplyAdd(source, (float)(-scale * scale * scale * inner / width), target, target);
        }
    }

    /// <summary>Adds some columns of the gain's gradient, summed over all tokens in their order.</summary>
    /// <param name="x">The input of <see cref="Apply"/>, f32 <c>[T, D]</c>.</param>
    /// <param name="outputGradient">dy, f32 <c>[T, D]</c>.</param>
    /// <param name="scales">r of every row, f32 <c>[T]</c>.</param>
    /// <param name="start">First column, dimensionless.</param>
    /// <param name="gradient">f32 <c>[columns]</c>; dg of columns start to start + columns - 1 is added to it.</param>
    /// <param name="scratch">Work space, f32 <c>[columns]</c>.</param>
    public static void GainBackward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> outputGradient, ReadOnlySpan<float> scales, int start, Span<float> gradient, Span<float> scratch)
    {
        int width = scales.IsEmpty ? 0 : x.Length / scales.Length;
        Span<float> product = scratch[..gradient.Length];
        for (int row = 0; row < scales.Length; row++)
        {
            int first = (row * width) + start;
            TensorPrimitives.Multiply(x.Slice(first, gradient.Length), outputGradient.Slice(first, gradient.Length), product);
            TensorPrimitives.MultiplyAdd(product, scales[row], gradient, gradient);
        }
    }
}
