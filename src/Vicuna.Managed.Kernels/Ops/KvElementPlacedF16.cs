using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Keys and values as IEEE halves, read with integer operations alone: sign-extended to 32 bits and shifted left by 13, exponent and mantissa
/// land where f32 has them, with the exponent 112 too low, for subnormal halves too. For pages that hold no NaN: those would
/// come out as numbers.
/// </summary>
internal readonly struct KvElementPlacedF16 : IKvElement
{
    private const int SignExponentMantissa = unchecked((int)0x8FFFE000);

    /// <inheritdoc/>
    public static KvType Type => KvType.F16;

    /// <inheritdoc/>
    public static float Factor => 5.192296858534828e33f; // 2^112

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ref byte source, nuint index) =>
        BitConverter.Int32BitsToSingle((Unsafe.Add(ref Unsafe.As<byte, short>(ref source), index) << 13) & SignExponentMantissa);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref byte source, nuint index)
    {
        Vector128<short> bits = Vector128.LoadUnsafe(ref Unsafe.As<byte, short>(ref source), index);
        return ((Vector256.WidenLower(bits.ToVector256Unsafe()) << 13) & Vector256.Create(SignExponentMantissa)).AsSingle();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref byte source, nuint index)
    {
        Vector256<short> bits = Vector256.LoadUnsafe(ref Unsafe.As<byte, short>(ref source), index);
        return ((Vector512.WidenLower(bits.ToVector512Unsafe()) << 13) & Vector512.Create(SignExponentMantissa)).AsSingle();
    }
}
