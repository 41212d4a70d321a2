using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>y = f(x) at every width; the three forms must round alike.</summary>
internal interface IUnaryOperator
{
    /// <summary>One element.</summary>
    float Invoke(float x);

    /// <summary>Eight elements.</summary>
    Vector256<float> Invoke(Vector256<float> x);

    /// <summary>Sixteen elements.</summary>
    Vector512<float> Invoke(Vector512<float> x);
}
