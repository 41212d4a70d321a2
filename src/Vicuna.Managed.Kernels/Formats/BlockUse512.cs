using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using X86 = System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>Widens the elements of blocks in vectors of 16 floats.</summary>
/// <typeparam name="TSink">What is done with a vector.</typeparam>
internal readonly struct BlockUse512<TSink> : IBlockUse<Vector512<float>>
    where TSink : struct, IBlockSink<Vector512<float>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scaled(Vector256<sbyte> quants, float lower, float upper, ref float operand, Vector512<float> sum)
    {
        sum = TSink.Take(Widen(quants.GetLower()) * Vector512.Create(lower), ref operand, 0, sum);
        return TSink.Take(Widen(quants.GetUpper()) * Vector512.Create(upper), ref operand, 16, sum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Affine(Vector256<sbyte> quants, float scale, float offset, ref float operand, Vector512<float> sum)
    {
        Vector512<float> factor = Vector512.Create(scale);
        Vector512<float> term = Vector512.Create(offset);
        sum = TSink.Take((Widen(quants.GetLower()) * factor) + term, ref operand, 0, sum);
        return TSink.Take((Widen(quants.GetUpper()) * factor) + term, ref operand, 16, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector128<sbyte> quants) => Vector512.ConvertToSingle(X86.Avx512F.ConvertToVector512Int32(quants));
}
