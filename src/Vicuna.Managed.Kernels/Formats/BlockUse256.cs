using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using X86 = System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>Widens the elements of blocks in vectors of 8 floats.</summary>
/// <typeparam name="TSink">What is done with a vector.</typeparam>
internal readonly struct BlockUse256<TSink> : IBlockUse<Vector256<float>>
    where TSink : struct, IBlockSink<Vector256<float>>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scaled(
        Vector256<sbyte> quants, ref readonly float lower, ref readonly float upper, ref float operand, Vector256<float> sum)
    {
        Vector256<float> first = Vector256.Create(lower);
        Vector256<float> last = Vector256.Create(upper);
        sum = TSink.Take(First(quants.GetLower()) * first, ref operand, 0, sum);
        sum = TSink.Take(Last(quants.GetLower()) * first, ref operand, 8, sum);
        sum = TSink.Take(First(quants.GetUpper()) * last, ref operand, 16, sum);
        return TSink.Take(Last(quants.GetUpper()) * last, ref operand, 24, sum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Affine(
        Vector256<sbyte> quants, ref readonly float scale, ref readonly float offset, ref float operand, Vector256<float> sum)
    {
        Vector256<float> factor = Vector256.Create(scale);
        Vector256<float> term = Vector256.Create(offset);
        sum = TSink.Take((First(quants.GetLower()) * factor) + term, ref operand, 0, sum);
        sum = TSink.Take((Last(quants.GetLower()) * factor) + term, ref operand, 8, sum);
        sum = TSink.Take((First(quants.GetUpper()) * factor) + term, ref operand, 16, sum);
        return TSink.Take((Last(quants.GetUpper()) * factor) + term, ref operand, 24, sum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> AffineNibbles(
        ref byte bytes, bool high, ref readonly float scale, ref readonly float offset, ref float operand, Vector256<float> sum)
    {
        Vector256<byte> both = BlockQuants.Read<Vector256<byte>>(ref bytes, 0);
        return Affine((high ? BlockQuants.High(both) : BlockQuants.Low(both)).AsSByte(), in scale, in offset, ref operand, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> First(Vector128<sbyte> quants) => Vector256.ConvertToSingle(X86.Avx2.ConvertToVector256Int32(quants));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Last(Vector128<sbyte> quants) => First(X86.Sse2.ShiftRightLogical128BitLane(quants, 8));
}
