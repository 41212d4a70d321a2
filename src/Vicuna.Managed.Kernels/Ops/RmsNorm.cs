using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Root mean square normalization (Zhang and Sennrich 2019; Hugging Face's LlamaRMSNorm): y = x / √(mean(x²) + ε) · g.</summary>
internal static class RmsNorm
{
    /// <summary>Normalizes every row.</summary>
    /// <param name="x">Activations, f32 <c>[T, D]</c>.</param>
    /// <param name="gain">Gain g, f32 <c>[D]</c>.</param>
    /// <param name="epsilon">ε, added to the mean square, dimensionless (config <c>rms_norm_eps</c>).</param>
    /// <param name="destination">f32 <c>[T, D]</c>; may be <paramref name="x"/> itself, must not otherwise overlap.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not multiples of D.</exception>
    /// <remarks>Relative error at most 1e-6 of the f64 reference for D up to 8192. Non-finite inputs propagate. Allocates nothing.</remarks>
    public static void Apply<TIsa>(ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, Span<float> destination)
        where TIsa : struct, IIsa
    {
        int width = gain.Length;
        if (width == 0 || x.Length % width != 0 || x.Length != destination.Length)
        {
            throw new ArgumentException($"x [{x.Length}] and the destination [{destination.Length}] are not rows of {width} elements.", nameof(x));
        }

        for (int row = 0; row < x.Length; row += width)
        {
            ReadOnlySpan<float> source = x.Slice(row, width);
            double meanSquare = (double)Traversals.Reduce<SumOfSquaresReduction, TIsa>(source) / width;
            float scale = (float)(1 / Math.Sqrt(meanSquare + epsilon));
            Traversals.Zip<ScaledProduct, TIsa>(source, gain, destination.Slice(row, width), new ScaledProduct(scale));
        }
    }

    /// <summary>The same in f64, plainly written: what <see cref="Apply"/> is tested against.</summary>
    /// <param name="x">Activations, f32 <c>[D]</c>.</param>
    /// <param name="gain">Gain, f32 <c>[D]</c>.</param>
    /// <param name="epsilon">Added to the mean square, dimensionless.</param>
    /// <param name="destination">f32 <c>[D]</c>.</param>
    public static void Reference(ReadOnlySpan<float> x, ReadOnlySpan<float> gain, float epsilon, Span<float> destination)
    {
        double sum = 0;
        foreach (float value in x)
        {
            sum += (double)value * value;
        }

        for (int i = 0; i < x.Length; i++)
        {
            destination[i] = (float)(x[i] / Math.Sqrt((sum / x.Length) + epsilon) * gain[i]);
        }
    }

    private readonly struct ScaledProduct(float scale) : IBinaryOperator
    {
        private readonly float _scale = scale;

        public float Invoke(float x, float y) => x * _scale * y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x * Vector256.Create(_scale) * y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x * Vector512.Create(_scale) * y;
    }
}
