using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Writes keys and values into pages. The same bytes at every tier.</summary>
internal static class KvStore
{
    // Elements that are converted together, in a buffer on the stack.
    private const int Piece = 64;
    private const float LargestHalf = 65504f;
    private const float LargestInteger = 127f;
    private const float RoundToInteger = 12582912f; // 1.5 · 2^23: adding it leaves the nearest integer in the low mantissa bits

    /// <summary>Stores one head's elements at one position.</summary>
    /// <param name="type">How.</param>
    /// <param name="source">f32 <c>[d]</c>.</param>
    /// <param name="run">The head's run of the page, bytes <c>[RunBytes]</c>.</param>
    /// <param name="slot">Position within the page.</param>
    /// <param name="transposed">True for keys, whose elements lie a page's positions apart.</param>
    /// <returns>Whether a NaN was stored as a half: whoever reads the page has to be told.</returns>
    /// <exception cref="ArgumentException">The run is not that of such a head.</exception>
    /// <remarks>
    /// Halves: rounded to nearest, what is larger than 65504 stored as that, so that no infinity can arise. Integers: rounded to nearest
    /// multiple of the largest size / 127; a row with a number that is not finite becomes NaN as a whole, one too small for an f32 scale 0.
    /// </remarks>
    public static bool Store<TIsa>(KvType type, ReadOnlySpan<float> source, Span<byte> run, int slot, bool transposed)
        where TIsa : struct, IIsa
    {
        KvShape shape = new(1, 1, source.Length, type);
        if (run.Length != shape.RunBytes || slot is < 0 or >= KvShape.PagePositions)
        {
            throw new ArgumentException($"{run.Length} bytes are not a run of {shape.RunBytes}, or {slot} is not a position in it.", nameof(run));
        }

        switch (type)
        {
            case KvType.F32:
                Put(source, MemoryMarshal.Cast<byte, float>(run), 0, source.Length, slot, transposed);
                return false;
            case KvType.F16:
                StoreHalves<TIsa>(source, MemoryMarshal.Cast<byte, Half>(run), slot, transposed);
                return float.IsNaN(Traversals.Reduce<LargestSizeReduction, TIsa>(source));
            default:
                StoreIntegers<TIsa>(source, run, slot, transposed);
                return false;
        }
    }

    private static void StoreHalves<TIsa>(ReadOnlySpan<float> source, Span<Half> run, int slot, bool transposed)
        where TIsa : struct, IIsa
    {
        Span<float> limited = stackalloc float[Piece];
        Span<Half> halves = stackalloc Half[Piece];
        for (int i = 0; i < source.Length; i += Piece)
        {
            ReadOnlySpan<float> piece = source.Slice(i, Math.Min(Piece, source.Length - i));
            Traversals.Map<LimitToHalf, TIsa>(piece, limited[..piece.Length], default);
            TensorPrimitives.ConvertToHalf(limited[..piece.Length], halves);
            Put(halves[..piece.Length], run, i, source.Length, slot, transposed);
        }
    }

    private static void StoreIntegers<TIsa>(ReadOnlySpan<float> source, Span<byte> run, int slot, bool transposed)
        where TIsa : struct, IIsa
    {
        float largest = Traversals.Reduce<LargestSizeReduction, TIsa>(source);
        float inverse = LargestInteger / largest;
        float scale = float.IsFinite(largest) ? largest / LargestInteger : float.NaN;
        if (!float.IsFinite(inverse) || float.IsNaN(scale))
        {
            (inverse, scale) = (0, float.IsNaN(scale) ? scale : 0);
        }

        MemoryMarshal.Cast<byte, float>(run)[slot] = scale;
        Span<byte> elements = run[(KvShape.PagePositions * sizeof(float))..];
        Span<float> rounded = stackalloc float[Piece];
        Span<byte> integers = stackalloc byte[Piece];
        for (int i = 0; i < source.Length; i += Piece)
        {
            ReadOnlySpan<float> piece = source.Slice(i, Math.Min(Piece, source.Length - i));
            if (inverse == 0)
            {
                rounded.Clear();
            }
            else
            {
                Traversals.Map<RoundedProduct, TIsa>(piece, rounded[..piece.Length], new RoundedProduct(inverse));
            }

            for (int j = 0; j < piece.Length; j++)
            {
                integers[j] = (byte)(sbyte)rounded[j];
            }

            Put(integers[..piece.Length], elements, i, source.Length, slot, transposed);
        }
    }

    // Elements from number first on, of a head of headDim.
    private static void Put<T>(ReadOnlySpan<T> elements, Span<T> run, int first, int headDim, int slot, bool transposed)
        where T : unmanaged
    {
        if (!transposed)
        {
            elements.CopyTo(run[((slot * headDim) + first)..]);
            return;
        }

        int at = (first * KvShape.PagePositions) + slot;
        foreach (T element in elements)
        {
            run[at] = element;
            at += KvShape.PagePositions;
        }
    }

    private readonly struct LimitToHalf : IUnaryOperator
    {
        // Comparisons with NaN are false, so that it passes.
        public float Invoke(float x) => x > LargestHalf ? LargestHalf : x < -LargestHalf ? -LargestHalf : x;

        public Vector256<float> Invoke(Vector256<float> x)
        {
            Vector256<float> most = Vector256.Create(LargestHalf);
            x = Vector256.ConditionalSelect(Vector256.GreaterThan(x, most), most, x);
            return Vector256.ConditionalSelect(Vector256.LessThan(x, -most), -most, x);
        }

        public Vector512<float> Invoke(Vector512<float> x)
        {
            Vector512<float> most = Vector512.Create(LargestHalf);
            x = Vector512.ConditionalSelect(Vector512.GreaterThan(x, most), most, x);
            return Vector512.ConditionalSelect(Vector512.LessThan(x, -most), -most, x);
        }
    }

    private readonly struct RoundedProduct(float factor) : IUnaryOperator
    {
        private readonly float _factor = factor;

        public float Invoke(float x) => ((x * _factor) + RoundToInteger) - RoundToInteger;

        public Vector256<float> Invoke(Vector256<float> x) =>
            ((x * Vector256.Create(_factor)) + Vector256.Create(RoundToInteger)) - Vector256.Create(RoundToInteger);

        public Vector512<float> Invoke(Vector512<float> x) =>
            ((x * Vector512.Create(_factor)) + Vector512.Create(RoundToInteger)) - Vector512.Create(RoundToInteger);
    }
}
