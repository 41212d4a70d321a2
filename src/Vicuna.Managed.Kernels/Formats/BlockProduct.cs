using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>Multiplies the elements with activations and adds them up, as <see cref="RowMajor"/> does with stored floats: the same bits.</summary>
internal readonly struct BlockProduct : IBlockSink<Vector256<float>>, IBlockSink<Vector512<float>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Take(Vector256<float> value, ref float operand, nuint at, Vector256<float> sum) =>
        Vector256.FusedMultiplyAdd(value, Lanes.Load256(ref operand, at), sum);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Take(Vector512<float> value, ref float operand, nuint at, Vector512<float> sum) =>
        Vector512.FusedMultiplyAdd(value, Lanes.Load512(ref operand, at), sum);
}
