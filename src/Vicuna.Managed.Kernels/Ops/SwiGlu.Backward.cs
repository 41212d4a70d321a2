using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <content>
/// The gradient. With s = 1 / (1 + e^-gate), silu = gate · s: dup = dy · silu, dgate = dy · up · s · (1 + gate · (1 - s)).
/// </content>
internal static partial class SwiGlu
{
    /// <summary>destination = silu(gate) · up.</summary>
    /// <param name="gate">Output of <c>gate_proj</c>, f32 <c>[T, F]</c>.</param>
    /// <param name="up">Output of <c>up_proj</c>, f32 <c>[T, F]</c>.</param>
    /// <param name="destination">f32 <c>[T, F]</c>.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ApplyInto<TIsa>(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> destination)
        where TIsa : struct, IIsa =>
        Traversals.Zip<Operator, TIsa>(gate, up, destination, default);

    /// <summary>The gradients of both inputs, in their places.</summary>
    /// <param name="gate">Output of <c>gate_proj</c>, f32 <c>[T, F]</c>; receives its gradient.</param>
    /// <param name="up">Output of <c>up_proj</c>, f32 <c>[T, F]</c>; receives its gradient.</param>
    /// <param name="outputGradient">dy, f32 <c>[T, F]</c>; void afterwards.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Backward<TIsa>(Span<float> gate, Span<float> up, Span<float> outputGradient)
        where TIsa : struct, IIsa
    {
        // dy · up is what dgate needs of them; up's place then takes its own gradient.
        Traversals.Zip<Product, TIsa>(outputGradient, up, up, default);
        Traversals.Zip<Operator, TIsa>(gate, outputGradient, outputGradient, default);
        Traversals.Zip<Slope, TIsa>(gate, up, gate, default);
        outputGradient.CopyTo(up);
    }

    private readonly struct Product : IBinaryOperator
    {
        public float Invoke(float x, float y) => x * y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x * y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x * y;
    }

    // silu'(x) · y
    private readonly struct Slope : IBinaryOperator
    {
        public float Invoke(float x, float y)
        {
            float s = 1f / (1f + VectorMath.Exp(-x));
            return s * (1f + (x * (1f - s))) * y;
        }

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y)
        {
            Vector256<float> s = Vector256<float>.One / (Vector256<float>.One + VectorMath.Exp(-x));
            return s * (Vector256<float>.One + (x * (Vector256<float>.One - s))) * y;
        }

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y)
        {
            Vector512<float> s = Vector512<float>.One / (Vector512<float>.One + VectorMath.Exp(-x));
            return s * (Vector512<float>.One + (x * (Vector512<float>.One - s))) * y;
        }
    }
}
