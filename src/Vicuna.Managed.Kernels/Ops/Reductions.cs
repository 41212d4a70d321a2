using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Σ x.</summary>
internal readonly struct SumReduction : IReduction
{
    /// <inheritdoc/>
    public static float Identity => 0f;

    /// <inheritdoc/>
    public static float Accumulate(float sum, float x) => sum + x;

    /// <inheritdoc/>
    public static Vector256<float> Accumulate(Vector256<float> sum, Vector256<float> x) => sum + x;

    /// <inheritdoc/>
    public static Vector512<float> Accumulate(Vector512<float> sum, Vector512<float> x) => sum + x;

    /// <inheritdoc/>
    public static float Fold(Vector256<float> lower, Vector256<float> upper) => Vector256.Sum(lower + upper);
}

/// <summary>The largest element; NaN when any element is NaN.</summary>
internal readonly struct MaxReduction : IReduction
{
    /// <inheritdoc/>
    public static float Identity => float.NegativeInfinity;

    /// <inheritdoc/>
    public static float Accumulate(float sum, float x) => MathF.Max(sum, x);

    /// <inheritdoc/>
    public static Vector256<float> Accumulate(Vector256<float> sum, Vector256<float> x) => Vector256.Max(sum, x);

    /// <inheritdoc/>
    public static Vector512<float> Accumulate(Vector512<float> sum, Vector512<float> x) => Vector512.Max(sum, x);

    /// <inheritdoc/>
    public static float Fold(Vector256<float> lower, Vector256<float> upper)
    {
        Vector256<float> both = Vector256.Max(lower, upper);
        float result = both[0];
        for (int lane = 1; lane < 8; lane++)
        {
            result = MathF.Max(result, both[lane]);
        }

        return result;
    }
}

/// <summary>The largest size of an element, whatever its sign; NaN when any element is NaN.</summary>
internal readonly struct LargestSizeReduction : IReduction
{
    /// <inheritdoc/>
    public static float Identity => 0f;

    /// <inheritdoc/>
    public static float Accumulate(float sum, float x) => MathF.Max(sum, MathF.Abs(x));

    /// <inheritdoc/>
    public static Vector256<float> Accumulate(Vector256<float> sum, Vector256<float> x) => Vector256.Max(sum, Vector256.Abs(x));

    /// <inheritdoc/>
    public static Vector512<float> Accumulate(Vector512<float> sum, Vector512<float> x) => Vector512.Max(sum, Vector512.Abs(x));

    /// <inheritdoc/>
    public static float Fold(Vector256<float> lower, Vector256<float> upper) => MaxReduction.Fold(lower, upper);
}
