using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Ops;

/// <summary>Keys and values as f32.</summary>
internal readonly struct KvElementF32 : IKvElement
{
    /// <inheritdoc/>
    public static KvType Type => KvType.F32;

    /// <inheritdoc/>
    public static float Factor => 1;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ref byte source, nuint index) => Unsafe.Add(ref Unsafe.As<byte, float>(ref source), index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref byte source, nuint index) => Vector256.LoadUnsafe(ref Unsafe.As<byte, float>(ref source), index);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref byte source, nuint index) => Vector512.LoadUnsafe(ref Unsafe.As<byte, float>(ref source), index);
}
