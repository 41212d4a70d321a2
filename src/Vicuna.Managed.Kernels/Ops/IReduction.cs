using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>A fold of many numbers into one.</summary>
internal interface IReduction
{
    /// <summary>The value of an empty fold.</summary>
    static abstract float Identity { get; }

    /// <summary>Takes in one element.</summary>
    static abstract float Accumulate(float sum, float x);

    /// <summary>Takes in one element per lane.</summary>
    static abstract Vector256<float> Accumulate(Vector256<float> sum, Vector256<float> x);

    /// <summary>Takes in one element per lane.</summary>
    static abstract Vector512<float> Accumulate(Vector512<float> sum, Vector512<float> x);

    /// <summary>Folds sixteen partial results; the first lower, the second upper half.</summary>
    static abstract float Fold(Vector256<float> lower, Vector256<float> upper);
}
