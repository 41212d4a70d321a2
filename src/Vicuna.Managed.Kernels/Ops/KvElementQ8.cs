using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Keys and values as 8-bit integers; the scales are applied to scores and weights, not here.</summary>
internal readonly struct KvElementQ8 : IKvElement
{
    /// <inheritdoc/>
    public static KvType Type => KvType.Q8;

    /// <inheritdoc/>
    public static float Factor => 1;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ref byte source, nuint index) => (sbyte)Unsafe.Add(ref source, index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref byte source, nuint index)
    {
        var eight = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(ref Unsafe.Add(ref source, index))).AsSByte();
        return Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.WidenLower(eight).ToVector256Unsafe()));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref byte source, nuint index)
    {
        Vector128<sbyte> sixteen = Vector128.LoadUnsafe(ref Unsafe.As<byte, sbyte>(ref source), index);
        return Vector512.ConvertToSingle(Vector512.WidenLower(Vector256.WidenLower(sixteen.ToVector256Unsafe()).ToVector512Unsafe()));
    }
}
