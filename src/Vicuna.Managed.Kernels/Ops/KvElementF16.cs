using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Keys and values as IEEE halves, widened with integer operations: sign-extended to 32 bits and shifted left by 13, exponent and mantissa
/// land where f32 has them, with the exponent 112 too low; a product with 2^112 corrects that exactly, for subnormal halves too. Exponent
/// 31, which holds NaN alone here, comes out as 65536 and more and is given the exponent of f32's NaN.
/// </summary>
internal readonly struct KvElementF16 : IKvElement
{
    private const int SignExponentMantissa = unchecked((int)0x8FFFE000);
    private const int NaNExponent = 0x7F800000;
    private const float BiasCorrection = 5.192296858534828e33f; // 2^112
    private const float FirstBeyondFinite = 65536f;

    /// <inheritdoc/>
    public static KvType Type => KvType.F16;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ref byte source, nuint index) => (float)Unsafe.Add(ref Unsafe.As<byte, Half>(ref source), index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref byte source, nuint index)
    {
        Vector128<short> bits = Vector128.LoadUnsafe(ref Unsafe.As<byte, short>(ref source), index);
        Vector256<int> placed = (Vector256.WidenLower(bits.ToVector256Unsafe()) << 13) & Vector256.Create(SignExponentMantissa);
        Vector256<float> value = placed.AsSingle() * Vector256.Create(BiasCorrection);
        Vector256<float> special = Vector256.GreaterThanOrEqual(Vector256.Abs(value), Vector256.Create(FirstBeyondFinite));
        return value | (special & Vector256.Create(NaNExponent).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref byte source, nuint index)
    {
        Vector256<short> bits = Vector256.LoadUnsafe(ref Unsafe.As<byte, short>(ref source), index);
        Vector512<int> placed = (Vector512.WidenLower(bits.ToVector512Unsafe()) << 13) & Vector512.Create(SignExponentMantissa);
        Vector512<float> value = placed.AsSingle() * Vector512.Create(BiasCorrection);
        Vector512<float> special = Vector512.GreaterThanOrEqual(Vector512.Abs(value), Vector512.Create(FirstBeyondFinite));
        return value | (special & Vector512.Create(NaNExponent).AsSingle());
    }
}
