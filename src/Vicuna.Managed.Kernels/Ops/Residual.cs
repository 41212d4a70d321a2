using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Sums: the residual stream and biases.</summary>
internal static class Residual
{
    /// <summary>x += y, element by element.</summary>
    /// <param name="x">f32 <c>[T, D]</c>; receives the sum.</param>
    /// <param name="y">f32 <c>[T, D]</c>.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Add<TIsa>(Span<float> x, ReadOnlySpan<float> y)
        where TIsa : struct, IIsa =>
        Traversals.Zip<Operator, TIsa>(x, y, x, default);

    /// <summary>Adds a bias to every row.</summary>
    /// <param name="x">f32 <c>[T, D]</c>; receives the sum.</param>
    /// <param name="bias">f32 <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">x is not a whole number of rows.</exception>
    public static void AddBias<TIsa>(Span<float> x, ReadOnlySpan<float> bias)
        where TIsa : struct, IIsa
    {
        if (bias.Length == 0 || x.Length % bias.Length != 0)
        {
            throw new ArgumentException($"x [{x.Length}] is not rows of {bias.Length} elements.", nameof(x));
        }

        for (int row = 0; row < x.Length; row += bias.Length)
        {
            Add<TIsa>(x.Slice(row, bias.Length), bias);
        }
    }

    private readonly struct Operator : IBinaryOperator
    {
        public float Invoke(float x, float y) => x + y;

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => x + y;

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => x + y;
    }
}
