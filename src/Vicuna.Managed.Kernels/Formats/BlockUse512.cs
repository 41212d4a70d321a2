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
    public static Vector512<float> Scaled(
        Vector256<sbyte> quants, ref readonly float lower, ref readonly float upper, ref float operand, Vector512<float> sum)
    {
        sum = TSink.Take(Widen(quants.GetLower()) * Vector512.Create(lower), ref operand, 0, sum);
        return TSink.Take(Widen(quants.GetUpper()) * Vector512.Create(upper), ref operand, 16, sum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Affine(
        Vector256<sbyte> quants, ref readonly float scale, ref readonly float offset, ref float operand, Vector512<float> sum)
    {
        Vector512<float> factor = Vector512.Create(scale);
        Vector512<float> term = Vector512.Create(offset);
        sum = TSink.Take((Widen(quants.GetLower()) * factor) + term, ref operand, 0, sum);
        return TSink.Take((Widen(quants.GetUpper()) * factor) + term, ref operand, 16, sum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> AffineNibbles(
        ref byte bytes, bool high, ref readonly float scale, ref readonly float offset, ref float operand, Vector512<float> sum)
    {
        // Sixteen numbers are possible, and a vector holds what becomes of all of them. Of an index the permutation looks at bits 3-0 only.
        Vector512<float> table = (Vector512.Create(0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) * Vector512.Create(scale)) + Vector512.Create(offset);
        Vector512<int> first = X86.Avx512F.ConvertToVector512Int32(BlockQuants.Read<Vector128<byte>>(ref bytes, 0));
        Vector512<int> last = X86.Avx512F.ConvertToVector512Int32(BlockQuants.Read<Vector128<byte>>(ref bytes, 16));
        sum = TSink.Take(X86.Avx512F.PermuteVar16x32(table, high ? first >>> 4 : first), ref operand, 0, sum);
        return TSink.Take(X86.Avx512F.PermuteVar16x32(table, high ? last >>> 4 : last), ref operand, 16, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector128<sbyte> quants) => Vector512.ConvertToSingle(X86.Avx512F.ConvertToVector512Int32(quants));
}
