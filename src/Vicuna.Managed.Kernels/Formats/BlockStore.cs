using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>Writes the elements down; the accumulator passes through.</summary>
internal readonly struct BlockStore : IBlockSink<Vector256<float>>, IBlockSink<Vector512<float>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Take(Vector256<float> value, ref float operand, nuint at, Vector256<float> sum)
    {
        Lanes.Store(value, ref operand, at);
        return sum;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Take(Vector512<float> value, ref float operand, nuint at, Vector512<float> sum)
    {
        Lanes.Store(value, ref operand, at);
        return sum;
    }
}
