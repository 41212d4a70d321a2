using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>z = f(x, y) at every width; the three forms must round alike.</summary>
internal interface IBinaryOperator
{
    /// <summary>One element.</summary>
    float Invoke(float x, float y);

    /// <summary>Eight elements.</summary>
    Vector256<float> Invoke(Vector256<float> x, Vector256<float> y);

    /// <summary>Sixteen elements.</summary>
    Vector512<float> Invoke(Vector512<float> x, Vector512<float> y);
}
