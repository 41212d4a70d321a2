using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Root mean square normalization (Zhang and Sennrich 2019; Hugging Face's LlamaRMSNorm): y = x / √(mean(x²) + ε) · g.</summary>
internal static partial class RmsNorm
{
    /// <summary>Normalizes every row.</summary>
    /// <param name="x">Activations, f32 <c>[T, D]</c>.</param>
    /// <param name="gain">Gain g, f32 <c>[D]</c>.</param>
    /// <param name="epsilon">ε, added to the mean square, dimensionless (config <c>rms_norm_eps</c>).</param>
    /// <param name="destination">f32 <c>[T, D]</c>; may be <paramref name="x"/> itself, must not otherwise overlap.</param>
    /// <exception cref="ArgumentException">The lengths disagree or are not multiples of D.</exception>
    /// <remarks>
    /// Relative error at most 1e-6 of the f64 reference for D up to 8192 and every size of x; the same bits in every tier. Non-finite
    /// inputs propagate. Allocates nothing.
    /// </remarks>
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
            double meanSquare = SumOfSquares<TIsa>(source) / width;
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

    // In f64, where a square of an f32 is exact and cannot overflow: an f32 sum of some thousand like numbers drifts by more than 1e-6.
    // Element i goes to sum i mod 8 at every width, and the sums meet in a fixed order, so that all tiers give the same bits.
    private static double SumOfSquares<TIsa>(ReadOnlySpan<float> x)
        where TIsa : struct, IIsa
    {
        Vector256<double> lower = Vector256<double>.Zero;
        Vector256<double> upper = Vector256<double>.Zero;
        int i = 0;
        if (typeof(TIsa) != typeof(Scalar))
        {
            ref float start = ref MemoryMarshal.GetReference(x);
            // i + 8 is at most the length: every load lies inside.
            for (; i + 8 <= x.Length; i += 8)
            {
                Vector256<float> eight = Vector256.LoadUnsafe(ref start, (nuint)i);
                Vector256<double> first = Vector256.WidenLower(eight);
                Vector256<double> last = Vector256.WidenUpper(eight);
                lower += first * first;
                upper += last * last;
            }
        }

        Span<double> sums = stackalloc double[8];
        lower.CopyTo(sums);
        upper.CopyTo(sums[4..]);
        for (; i < x.Length; i++)
        {
            sums[i % 8] += (double)x[i] * x[i];
        }

        return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
    }

    private readonly struct ScaledProduct(float scale) : IBinaryOperator
    {
        private readonly float _scale = scale;

        public float Invoke(float x, float y) => x * _scale * y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x * Vector256.Create(_scale) * y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x * Vector512.Create(_scale) * y;
    }
}
