using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Blocks of 32 signed bytes and a scale: x[i] = d · q[i].
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>0-1</term><description>d, f16</description></item>
/// <item><term>2-33</term><description>q[0..31], i8</description></item>
/// </list>
/// Source of the layout: ggml, <c>block_q8_0</c>.
/// </summary>
internal readonly struct Q8_0 : IBlockFormat<Q8_0>
{
    public static string Name => "q8_0";

    public static int BlockElements => 32;

    public static int BlockBytes => 34;

    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        int count = BlockSpans.Count<Q8_0>(blocks, destination);
        for (int b = 0; b < count; b++)
        {
            ReadOnlySpan<byte> block = blocks.Slice(b * 34, 34);
            Span<float> x = destination.Slice(b * 32, 32);
            float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
            ReadOnlySpan<sbyte> q = MemoryMarshal.Cast<byte, sbyte>(block.Slice(2, 32));
            for (int i = 0; i < x.Length; i++)
            {
                x[i] = d * q[i];
            }
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TSum Walk<TUse, TSum>(ref byte block, ref float operand, TSum sum)
        where TUse : struct, IBlockUse<TSum>
        where TSum : struct
    {
        float d = F16.LoadBranchless(ref block);
        return TUse.Scaled(BlockQuants.Read<Vector256<sbyte>>(ref block, 2), in d, in d, ref operand, sum);
    }
}
