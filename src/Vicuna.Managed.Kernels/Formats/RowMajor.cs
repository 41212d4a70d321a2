using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Y = X · Wᵀ for weights stored as plain floats, row-major. Every (row, token) pair has one vector accumulator that runs over the
/// columns from left to right, then one horizontal sum, then the columns left over one by one: the same order for one token and many, for a
/// tile of rows and a single one. So a batch, a prefill chunk or another row partition changes no bit.
/// </summary>
internal static partial class RowMajor
{
    /// <summary>Rows of W that are widened together for several tokens: their f32 copies stay in the second-level cache.</summary>
    public const int RowGroup = 8;

    private const int RowTile = 4;

    /// <summary>Work space that <see cref="Multiply{TLoader,TIsa}"/> needs, in f32 elements.</summary>
    public static int ScratchElements(int columns) => checked(RowGroup * columns);

    /// <summary>Widens stored elements to f32.</summary>
    /// <param name="source">Stored elements, <c>[n]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Widen<TLoader>(ReadOnlySpan<byte> source, Span<float> destination)
        where TLoader : struct, IFloatLoader
    {
        if (source.Length != (long)destination.Length * TLoader.ElementBytes)
        {
            throw new ArgumentException($"{source.Length} bytes do not hold {destination.Length} elements of {TLoader.ElementBytes} bytes.", nameof(source));
        }

        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = TLoader.LoadScalar(in source[i * TLoader.ElementBytes]);
        }
    }

    /// <summary>Y = X · Wᵀ for a run of rows of W. For one token, and for f32, <c>scratch</c> may be empty.</summary>
    /// <inheritdoc cref="IWeightFormat{TSelf}.Multiply{TIsa}" path="/param"/>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void Multiply<TLoader, TIsa>(
        ReadOnlySpan<byte> rows,
        int rowCount,
        int columns,
        ReadOnlySpan<float> activations,
        int tokens,
        Span<float> destination,
        int destinationStride,
        Span<float> scratch)
        where TLoader : struct, IFloatLoader
        where TIsa : struct, IIsa
    {
        // These three checks are what every ref below relies on: rows and columns stay inside the spans.
        if (rowCount < 0 || columns < 0 || tokens < 0 || destinationStride < rowCount
            || rows.Length < (long)rowCount * columns * TLoader.ElementBytes
            || activations.Length < (long)tokens * columns
            || (tokens > 0 && destination.Length < ((long)(tokens - 1) * destinationStride) + rowCount))
        {
            throw new ArgumentException(
                $"W [{rowCount}, {columns}] in {rows.Length} bytes, X [{tokens}, {columns}] in {activations.Length} elements and Y [{tokens}, {destinationStride}] in {destination.Length} do not fit together.");
        }

        if (typeof(TIsa) == typeof(Scalar))
        {
            MultiplyScalar<TLoader>(rows, rowCount, columns, activations, tokens, destination, destinationStride);
            return;
        }

        ref byte w = ref MemoryMarshal.GetReference(rows);
        ref float x = ref MemoryMarshal.GetReference(activations);
        ref float y = ref MemoryMarshal.GetReference(destination);
        nuint rowBytes = (nuint)columns * (nuint)TLoader.ElementBytes;
        if (tokens == 1)
        {
            TileOfTokens<TLoader, TIsa>(ref w, rowBytes, rowCount, columns, ref x, 1, ref y, destinationStride);
            return;
        }

        for (int row = 0; row < rowCount; row += RowGroup)
        {
            int group = Math.Min(RowGroup, rowCount - row);
            if (typeof(TLoader) == typeof(F32))
            {
                TileOfTokens<TLoader, TIsa>(ref Unsafe.AddByteOffset(ref w, (nuint)row * rowBytes), rowBytes, group, columns, ref x, tokens, ref Unsafe.Add(ref y, row), destinationStride);
                continue;
            }

            // Widening is exact, so multiplying the f32 copy gives the bits that the direct product gives.
            Span<float> widened = scratch[..(group * columns)];
            WidenVector<TLoader, TIsa>(rows.Slice(checked((int)((nuint)row * rowBytes)), checked((int)((nuint)group * rowBytes))), widened);
            ref byte wide = ref Unsafe.As<float, byte>(ref MemoryMarshal.GetReference(widened));
            TileOfTokens<Widened<TLoader>, TIsa>(ref wide, (nuint)columns * sizeof(float), group, columns, ref x, tokens, ref Unsafe.Add(ref y, row), destinationStride);
        }
    }

    // The specification: f64 accumulation, one rounding at the end.
    private static void MultiplyScalar<TLoader>(
        ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride)
        where TLoader : struct, IFloatLoader
    {
        int rowBytes = checked(columns * TLoader.ElementBytes);
        for (int row = 0; row < rowCount; row++)
        {
            ReadOnlySpan<byte> w = rows.Slice(row * rowBytes, rowBytes);
            for (int token = 0; token < tokens; token++)
            {
                ReadOnlySpan<float> x = activations.Slice(token * columns, columns);
                double sum = 0;
                for (int k = 0; k < columns; k++)
                {
                    sum += (double)TLoader.LoadScalar(in w[k * TLoader.ElementBytes]) * x[k];
                }

                destination[(token * destinationStride) + row] = (float)sum * TLoader.ResultScale;
            }
        }
    }

    /// <summary>Widens stored elements to f32 with vectors, up to the loader's factor.</summary>
    /// <param name="source">Stored elements, <c>[n]</c>.</param>
    /// <param name="destination">f32 <c>[n]</c>.</param>
    /// <exception cref="ArgumentException">The lengths disagree.</exception>
    public static void WidenVector<TLoader, TIsa>(ReadOnlySpan<byte> source, Span<float> destination)
        where TLoader : struct, IFloatLoader
        where TIsa : struct, IIsa
    {
        if (source.Length != (long)destination.Length * TLoader.ElementBytes)
        {
            throw new ArgumentException($"{source.Length} bytes do not hold {destination.Length} elements of {TLoader.ElementBytes} bytes.", nameof(source));
        }

        if (typeof(TIsa) == typeof(Scalar))
        {
            Widen<TLoader>(source, destination);
            return;
        }

        ref byte from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(destination);
        nuint i = 0;
        nuint count = (nuint)destination.Length;
        if (typeof(TIsa) == typeof(Avx512))
        {
            for (; i + 16 <= count; i += 16)
            {
                Unsafe.WriteUnaligned(ref Unsafe.As<float, byte>(ref Unsafe.Add(ref to, i)), TLoader.Load512(ref Unsafe.AddByteOffset(ref from, i * (nuint)TLoader.ElementBytes)));
            }
        }
        else
        {
            for (; i + 8 <= count; i += 8)
            {
                Unsafe.WriteUnaligned(ref Unsafe.As<float, byte>(ref Unsafe.Add(ref to, i)), TLoader.Load256(ref Unsafe.AddByteOffset(ref from, i * (nuint)TLoader.ElementBytes)));
            }
        }

        for (; i < count; i++)
        {
            Unsafe.Add(ref to, i) = TLoader.LoadScalar(ref Unsafe.AddByteOffset(ref from, i * (nuint)TLoader.ElementBytes));
        }
    }

    // All rows of a group against all tokens. One token alone takes row after row: one stream through memory is read faster than four whose
    // rows lie a power of two apart, and one accumulator's latency is still shorter than the memory's. Token tiles are the outer loop: a tile of X
    // stays in the first-level cache while the rows pass.
    private static void TileOfTokens<TLoader, TIsa>(ref byte w, nuint rowBytes, int rowCount, int columns, ref float x, int tokens, ref float y, int stride)
        where TLoader : struct, IFloatLoader
        where TIsa : struct, IIsa
    {
        int tokenTile = typeof(TIsa) == typeof(Avx512) ? 4 : 2;
        int token = 0;
        for (; token + tokenTile <= tokens; token += tokenTile)
        {
            ref float xTile = ref Unsafe.Add(ref x, (nuint)token * (nuint)columns);
            ref float yTile = ref Unsafe.Add(ref y, (nuint)token * (nuint)stride);
            int row = 0;
            for (; row + RowTile <= rowCount; row += RowTile)
            {
                ref byte wTile = ref Unsafe.AddByteOffset(ref w, (nuint)row * rowBytes);
                if (typeof(TIsa) == typeof(Avx512))
                {
                    Rows4Tokens4<TLoader>(ref wTile, rowBytes, columns, ref xTile, ref Unsafe.Add(ref yTile, row), stride);
                }
                else
                {
                    Rows4Tokens2<TLoader>(ref wTile, rowBytes, columns, ref xTile, ref Unsafe.Add(ref yTile, row), stride);
                }
            }

            for (; row < rowCount; row++)
            {
                for (int t = 0; t < tokenTile; t++)
                {
                    Unsafe.Add(ref yTile, ((nuint)t * (nuint)stride) + (nuint)row) =
                        Dot<TLoader, TIsa>(ref Unsafe.AddByteOffset(ref w, (nuint)row * rowBytes), columns, ref Unsafe.Add(ref xTile, (nuint)t * (nuint)columns));
                }
            }
        }

        for (; token < tokens; token++)
        {
            ref float xRow = ref Unsafe.Add(ref x, (nuint)token * (nuint)columns);
            ref float yRow = ref Unsafe.Add(ref y, (nuint)token * (nuint)stride);
            for (int row = 0; row < rowCount; row++)
            {
                Unsafe.Add(ref yRow, row) = Dot<TLoader, TIsa>(ref Unsafe.AddByteOffset(ref w, (nuint)row * rowBytes), columns, ref xRow);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot<TLoader, TIsa>(ref byte w, int columns, ref float x)
        where TLoader : struct, IFloatLoader
        where TIsa : struct, IIsa =>
        typeof(TIsa) == typeof(Avx512) ? Dot512<TLoader>(ref w, columns, ref x) : Dot256<TLoader>(ref w, columns, ref x);

    // The columns beyond the last whole vector, added one by one to the horizontal sum.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Tail<TLoader>(float sum, ref byte w, nuint from, nuint columns, ref float x)
        where TLoader : struct, IFloatLoader
    {
        for (nuint k = from; k < columns; k++)
        {
            sum = MathF.FusedMultiplyAdd(TLoader.LoadScalar(ref Unsafe.AddByteOffset(ref w, k * (nuint)TLoader.ElementBytes)), Unsafe.Add(ref x, k), sum);
        }

        return sum * TLoader.ResultScale;
    }

    // f32 copies that a loader has made, with the factor that it leaves out.
    private readonly struct Widened<TLoader> : IFloatLoader
        where TLoader : struct, IFloatLoader
    {
        public static int ElementBytes => sizeof(float);

        public static float ResultScale => TLoader.ResultScale;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float LoadScalar(ref readonly byte source) => F32.LoadScalar(in source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Load256(ref readonly byte source) => F32.Load256(in source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load512(ref readonly byte source) => F32.Load512(in source);
    }
}
