using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>The gated activation of the feed-forward network (Shazeer 2020): silu(gate) · up with silu(x) = x / (1 + e^-x).</summary>
internal static partial class SwiGlu
{
    /// <summary>gate = silu(gate) · up, in place.</summary>
    /// <param name="gate">Output of <c>gate_proj</c>, f32 <c>[T, F]</c>; receives the result.</param>
    /// <param name="up">Output of <c>up_proj</c>, f32 <c>[T, F]</c>.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Apply<TIsa>(Span<float> gate, ReadOnlySpan<float> up)
        where TIsa : struct, IIsa =>
        Traversals.Zip<Operator, TIsa>(gate, up, gate, default);

    /// <summary>The same in f64, plainly written: what <see cref="Apply"/> is tested against.</summary>
    /// <param name="gate">One gate value, dimensionless.</param>
    /// <param name="up">One up value, dimensionless.</param>
    public static double Reference(double gate, double up) => gate / (1 + Math.Exp(-gate)) * up;

    private readonly struct Operator : IBinaryOperator
    {
        public float Invoke(float x, float y) => x / (1f + VectorMath.Exp(-x)) * y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x / (Vector256<float>.One + VectorMath.Exp(-x)) * y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x / (Vector512<float>.One + VectorMath.Exp(-x)) * y;
    }
}
