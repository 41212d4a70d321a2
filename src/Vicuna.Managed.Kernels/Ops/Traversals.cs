using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// The only loops over elementwise operators and reductions: whole vectors of the tier's width first, then the rest one by one. An operator
/// whose scalar and vector forms round alike (see <see cref="VectorMath"/>) gives the same bits in every tier and at every length.
/// </summary>
internal static class Traversals
{
    /// <summary>z = op(x, y), element by element.</summary>
    /// <param name="x">f32 <c>[n]</c>.</param>
    /// <param name="y">f32 <c>[n]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>; may be <paramref name="x"/> or <paramref name="y"/> itself, must not otherwise overlap.</param>
    /// <param name="op">The operator, with its constants.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Zip<TOp, TIsa>(ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> destination, TOp op)
        where TOp : struct, IBinaryOperator
        where TIsa : struct, IIsa
    {
        if (x.Length != y.Length || x.Length != destination.Length)
        {
            throw new ArgumentException($"Lengths {x.Length}, {y.Length} and {destination.Length} differ.");
        }

        ref float a = ref MemoryMarshal.GetReference(x);
        ref float b = ref MemoryMarshal.GetReference(y);
        ref float z = ref MemoryMarshal.GetReference(destination);
        nuint count = (nuint)x.Length;
        nuint i = 0;
        if (typeof(TIsa) == typeof(Avx512))
        {
            for (; i + 16 <= count; i += 16)
            {
                op.Invoke(Vector512.LoadUnsafe(ref a, i), Vector512.LoadUnsafe(ref b, i)).StoreUnsafe(ref z, i);
            }
        }
        else if (typeof(TIsa) == typeof(Avx2))
        {
            for (; i + 8 <= count; i += 8)
            {
                op.Invoke(Vector256.LoadUnsafe(ref a, i), Vector256.LoadUnsafe(ref b, i)).StoreUnsafe(ref z, i);
            }
        }

        for (; i < count; i++)
        {
            Unsafe.Add(ref z, i) = op.Invoke(Unsafe.Add(ref a, i), Unsafe.Add(ref b, i));
        }
    }

    /// <summary>y = op(x), element by element.</summary>
    /// <param name="x">f32 <c>[n]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>; may be <paramref name="x"/> itself, must not otherwise overlap.</param>
    /// <param name="op">The operator, with its constants.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Map<TOp, TIsa>(ReadOnlySpan<float> x, Span<float> destination, TOp op)
        where TOp : struct, IUnaryOperator
        where TIsa : struct, IIsa =>
        Zip<UnaryAsBinary<TOp>, TIsa>(x, x, destination, new UnaryAsBinary<TOp>(op));

    /// <summary>Folds all elements into one number. The order depends on the tier, not on anything else.</summary>
    /// <param name="x">f32 <c>[n]</c>.</param>
    /// <returns>The reduction's value, its identity when <paramref name="x"/> is empty.</returns>
    public static float Reduce<TOp, TIsa>(ReadOnlySpan<float> x)
        where TOp : struct, IReduction
        where TIsa : struct, IIsa
    {
        ref float a = ref MemoryMarshal.GetReference(x);
        nuint count = (nuint)x.Length;
        nuint i = 0;
        float result = TOp.Identity;
        if (typeof(TIsa) == typeof(Avx512) && count >= 16)
        {
            Vector512<float> sum = Vector512.Create(TOp.Identity);
            for (; i + 16 <= count; i += 16)
            {
                sum = TOp.Accumulate(sum, Vector512.LoadUnsafe(ref a, i));
            }

            result = TOp.Fold(sum.GetLower(), sum.GetUpper());
        }
        else if (typeof(TIsa) == typeof(Avx2) && count >= 16)
        {
            Vector256<float> even = Vector256.Create(TOp.Identity);
            Vector256<float> odd = even;
            for (; i + 16 <= count; i += 16)
            {
                even = TOp.Accumulate(even, Vector256.LoadUnsafe(ref a, i));
                odd = TOp.Accumulate(odd, Vector256.LoadUnsafe(ref a, i + 8));
            }

            result = TOp.Fold(even, odd);
        }

        for (; i < count; i++)
        {
            result = TOp.Accumulate(result, Unsafe.Add(ref a, i));
        }

        return result;
    }

    private readonly struct UnaryAsBinary<TOp>(TOp op) : IBinaryOperator
        where TOp : struct, IUnaryOperator
    {
        private readonly TOp _op = op;

        public float Invoke(float x, float y) => _op.Invoke(x);

        public Vector256<float> Invoke(Vector256<float> x, Vector256<float> y) => _op.Invoke(x);

        public Vector512<float> Invoke(Vector512<float> x, Vector512<float> y) => _op.Invoke(x);
    }
}
