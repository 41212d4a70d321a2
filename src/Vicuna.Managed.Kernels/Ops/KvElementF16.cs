using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>
/// Keys and values as IEEE halves, widened exactly: what <see cref="KvElementPlacedF16"/> reads times 2^112. Exponent 31, which holds NaN alone
/// here, comes out as 65536 and more and is given the exponent of f32's NaN.
/// </summary>
internal readonly struct KvElementF16 : IKvElement
{
    private const int NaNExponent = 0x7F800000;
    private const float FirstBeyondFinite = 65536f;

    /// <inheritdoc/>
    public static KvType Type => KvType.F16;

    /// <inheritdoc/>
    public static float Factor => 1;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ref byte source, nuint index) => (float)Unsafe.Add(ref Unsafe.As<byte, Half>(ref source), index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref byte source, nuint index)
    {
        Vector256<float> value = KvElementPlacedF16.Load256(ref source, index) * Vector256.Create(KvElementPlacedF16.Factor);
        Vector256<float> special = Vector256.GreaterThanOrEqual(Vector256.Abs(value), Vector256.Create(FirstBeyondFinite));
        return value | (special & Vector256.Create(NaNExponent).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref byte source, nuint index)
    {
        Vector512<float> value = KvElementPlacedF16.Load512(ref source, index) * Vector512.Create(KvElementPlacedF16.Factor);
        Vector512<float> special = Vector512.GreaterThanOrEqual(Vector512.Abs(value), Vector512.Create(FirstBeyondFinite));
        return value | (special & Vector512.Create(NaNExponent).AsSingle());
    }
}
