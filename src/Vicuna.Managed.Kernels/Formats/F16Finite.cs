using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// <see cref="F16"/> for weights that are known to be finite: without the fix-up of infinities a vector is widened in two operations, and the factor
/// 2^112 that widening leaves out moves to the activations (2^100, so that they stay finite up to 2^27) and to the sum (2^12). Powers of two
/// change no bit, so results are those of <see cref="F16"/> unless a partial sum is below 2^-114.
/// </summary>
internal readonly struct F16Finite : IWeightFormat<F16Finite>, IFloatLoader
{
    private const int SignExponentMantissa = unchecked((int)0x8FFFE000);
    private const float Left = 1.92592994438723585305597794258492732e-34f; // 2^-112
    private const short Exponent = 0x7C00;

    /// <inheritdoc/>
    public static string Name => F16.Name;

    /// <inheritdoc/>
    public static int BlockElements => F16.BlockElements;

    /// <inheritdoc/>
    public static int BlockBytes => F16.BlockBytes;

    /// <inheritdoc/>
    public static int ElementBytes => F16.ElementBytes;

    /// <summary>Largest magnitude of an activation that its factor leaves finite.</summary>
    public static float MaxActivation => 1.34217728e8f; // 2^27

    /// <inheritdoc cref="IWeightFormat{TSelf}.ActivationScale"/>
    public static float ActivationScale => 1.2676506002282294e30f; // 2^100

    /// <inheritdoc cref="IWeightFormat{TSelf}.ResultScale"/>
    public static float ResultScale => 4096f; // 2^12

    /// <summary>Whether all of a run of halves are finite.</summary>
    /// <param name="halves">Stored elements, f16 <c>[n]</c>.</param>
    public static bool AllFinite<TIsa>(ReadOnlySpan<byte> halves)
        where TIsa : struct, IIsa
    {
        ReadOnlySpan<short> bits = MemoryMarshal.Cast<byte, short>(halves);
        ref short first = ref MemoryMarshal.GetReference(bits);
        nuint i = 0;
        nuint count = (nuint)bits.Length;
        if (typeof(TIsa) == typeof(Avx512))
        {
            Vector512<short> found = Vector512<short>.Zero;
            for (; i + 32 <= count; i += 32)
            {
                Vector512<short> exponent = Unsafe.ReadUnaligned<Vector512<short>>(ref Unsafe.As<short, byte>(ref Unsafe.Add(ref first, i))) & Vector512.Create(Exponent);
                found |= Vector512.Equals(exponent, Vector512.Create(Exponent));
            }

            if (found != Vector512<short>.Zero)
            {
                return false;
            }
        }
        else if (typeof(TIsa) == typeof(Avx2))
        {
            Vector256<short> found = Vector256<short>.Zero;
            for (; i + 16 <= count; i += 16)
            {
                Vector256<short> exponent = Unsafe.ReadUnaligned<Vector256<short>>(ref Unsafe.As<short, byte>(ref Unsafe.Add(ref first, i))) & Vector256.Create(Exponent);
                found |= Vector256.Equals(exponent, Vector256.Create(Exponent));
            }

            if (found != Vector256<short>.Zero)
            {
                return false;
            }
        }

        for (; i < count; i++)
        {
            if ((Unsafe.Add(ref first, i) & Exponent) == Exponent)
            {
                return false;
            }
        }

        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadScalar(ref readonly byte source) => F16.LoadScalar(in source) * Left;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref readonly byte source)
    {
        Vector128<short> bits = Unsafe.ReadUnaligned<Vector128<short>>(in source);
        return ((System.Runtime.Intrinsics.X86.Avx2.ConvertToVector256Int32(bits) << 13) & Vector256.Create(SignExponentMantissa)).AsSingle();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref readonly byte source)
    {
        Vector256<short> bits = Unsafe.ReadUnaligned<Vector256<short>>(in source);
        return ((System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512Int32(bits) << 13) & Vector512.Create(SignExponentMantissa)).AsSingle();
    }

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => F16.Dequantize(blocks, destination);

    /// <inheritdoc/>
    public static void DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TIsa : struct, IIsa => RowMajor.WidenVector<F16Finite, TIsa>(blocks, destination);

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride, Span<float> scratch)
        where TIsa : struct, IIsa =>
        RowMajor.Multiply<F16Finite, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
