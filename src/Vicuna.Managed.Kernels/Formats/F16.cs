using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Vicuna.Managed.Kernels.Isa;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// IEEE half precision (binary16), little-endian, row-major as mapped from the file.
/// .NET 10 does not expose the F16C conversion, so a vector is widened with integer operations: sign-extended to 32 bits and shifted left by
/// 13, the sign lands on bit 31 and exponent and mantissa land where binary32 has them, with the exponent 112 too low; a product with 2^112
/// corrects that exactly, for subnormal halves too. Only the exponent of infinities and NaNs (31) needs a fix-up.
/// </summary>
internal readonly struct F16 : IWeightFormat<F16>, IFloatLoader
{
    private const int SignExponentMantissa = unchecked((int)0x8FFFE000);
    private const int InfinityExponent = 0x7F800000;
    private const float BiasCorrection = 5.192296858534828e33f; // 2^112
    private const float FirstBeyondFinite = 65536f;             // exponent 31 widens to 2^16 and more; the largest finite half is 65504

    /// <inheritdoc/>
    public static string Name => "f16";

    /// <inheritdoc/>
    public static int BlockElements => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 2;

    /// <inheritdoc/>
    public static int ElementBytes => 2;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadScalar(ref readonly byte source) => (float)Unsafe.ReadUnaligned<Half>(in source);

    /// <summary>Widens one half as vectors are widened, without a branch or a call, for loops that keep their registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadBranchless(ref readonly byte source)
    {
        int placed = (Unsafe.ReadUnaligned<short>(in source) << 13) & SignExponentMantissa;
        Vector128<float> value = Vector128.CreateScalarUnsafe(placed).AsSingle() * Vector128.CreateScalarUnsafe(BiasCorrection);
        Vector128<float> special = Vector128.GreaterThanOrEqual(Vector128.Abs(value), Vector128.CreateScalarUnsafe(FirstBeyondFinite));
        return (value | (special & Vector128.CreateScalarUnsafe(InfinityExponent).AsSingle())).ToScalar();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref readonly byte source)
    {
        Vector128<short> bits = Unsafe.ReadUnaligned<Vector128<short>>(in source);
        Vector256<int> placed = (System.Runtime.Intrinsics.X86.Avx2.ConvertToVector256Int32(bits) << 13) & Vector256.Create(SignExponentMantissa);
        Vector256<float> value = placed.AsSingle() * Vector256.Create(BiasCorrection);
        Vector256<float> special = Vector256.GreaterThanOrEqual(Vector256.Abs(value), Vector256.Create(FirstBeyondFinite));
        return value | (special & Vector256.Create(InfinityExponent).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref readonly byte source)
    {
        Vector256<short> bits = Unsafe.ReadUnaligned<Vector256<short>>(in source);
        Vector512<int> placed = (System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512Int32(bits) << 13) & Vector512.Create(SignExponentMantissa);
        Vector512<float> value = placed.AsSingle() * Vector512.Create(BiasCorrection);
        Vector512<float> special = Vector512.GreaterThanOrEqual(Vector512.Abs(value), Vector512.Create(FirstBeyondFinite));
        return value | (special & Vector512.Create(InfinityExponent).AsSingle());
    }

    /// <inheritdoc/>
    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination) => RowMajor.Widen<F16>(blocks, destination);

    /// <inheritdoc/>
    public static void DequantizeVector<TIsa>(ReadOnlySpan<byte> blocks, Span<float> destination)
        where TIsa : struct, IIsa => RowMajor.WidenVector<F16, TIsa>(blocks, destination);

    /// <inheritdoc/>
    public static void Multiply<TIsa>(
        ReadOnlySpan<byte> rows, int rowCount, int columns, ReadOnlySpan<float> activations, int tokens, Span<float> destination, int destinationStride, Span<float> scratch)
        where TIsa : struct, IIsa =>
        RowMajor.Multiply<F16, TIsa>(rows, rowCount, columns, activations, tokens, destination, destinationStride, scratch);
}
