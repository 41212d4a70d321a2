using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// What becomes of the elements of a block, 32 at a time from left to right, as <see cref="IBlockFormat{TSelf}.Walk"/> finds them: they are written
/// down, or multiplied with activations and added up. Elements are computed as the scalar specification has it: products and sums are rounded one by one.
/// Scales are references because a vector of one number is loaded faster than it is made of a register.
/// </summary>
/// <typeparam name="TSum">The accumulator, a vector of the tier.</typeparam>
internal interface IBlockUse<TSum>
    where TSum : struct
{
    /// <summary>Takes 32 elements x[i] = scale · q[i]; each half has its scale.</summary>
    /// <param name="quants">q, i8 <c>[32]</c>.</param>
    /// <param name="lower">Scale of the first 16.</param>
    /// <param name="upper">Scale of the last 16.</param>
    /// <param name="operand">Where the 32 elements go, or their activations, f32 <c>[32]</c>.</param>
    /// <param name="sum">The accumulator so far.</param>
    /// <returns>The accumulator.</returns>
    static abstract TSum Scaled(
        Vector256<sbyte> quants, ref readonly float lower, ref readonly float upper, ref float operand, TSum sum);

    /// <summary>Takes 32 elements x[i] = scale · q[i] + offset.</summary>
    /// <param name="quants">q, i8 <c>[32]</c>.</param>
    /// <param name="scale">Scale of all 32.</param>
    /// <param name="offset">Offset of all 32.</param>
    /// <param name="operand">Where the 32 elements go, or their activations, f32 <c>[32]</c>.</param>
    /// <param name="sum">The accumulator so far.</param>
    /// <returns>The accumulator.</returns>
    static abstract TSum Affine(
        Vector256<sbyte> quants, ref readonly float scale, ref readonly float offset, ref float operand, TSum sum);

    /// <summary>Takes 32 elements x[i] = scale · q[i] + offset, of numbers that are halves of bytes.</summary>
    /// <param name="bytes">The first byte in the block; q is in one half of each, <c>[32]</c>.</param>
    /// <param name="high">Whether q is in bits 7-4, a constant; otherwise it is in bits 3-0.</param>
    /// <param name="scale">Scale of all 32.</param>
    /// <param name="offset">Offset of all 32.</param>
    /// <param name="operand">Where the 32 elements go, or their activations, f32 <c>[32]</c>.</param>
    /// <param name="sum">The accumulator so far.</param>
    /// <returns>The accumulator.</returns>
    static abstract TSum AffineNibbles(
        ref byte bytes, bool high, ref readonly float scale, ref readonly float offset, ref float operand, TSum sum);
}
