using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Blocks of 32 four-bit numbers, a scale and a minimum: x[i] = d · q[i] + m.
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>0-1</term><description>d, f16</description></item>
/// <item><term>2-3</term><description>m, f16</description></item>
/// <item><term>4 + j, j 0-15</term><description>q[j] in bits 3-0, q[j + 16] in bits 7-4</description></item>
/// </list>
/// Source of the layout: ggml, <c>block_q4_1</c>.
/// </summary>
internal readonly struct Q4_1 : IBlockFormat<Q4_1>
{
    public static string Name => "q4_1";

    public static int BlockElements => 32;

    public static int BlockBytes => 20;

    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        int count = BlockSpans.Count<Q4_1>(blocks, destination);
        for (int b = 0; b < count; b++)
        {
            ReadOnlySpan<byte> block = blocks.Slice(b * 20, 20);
            float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
            float m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
            ReadOnlySpan<byte> q = block.Slice(4, 16);
            Span<float> lower = destination.Slice(b * 32, 16);
            Span<float> upper = destination.Slice((b * 32) + 16, 16);
            for (int j = 0; j < 16; j++)
            {
                lower[j] = (d * (q[j] & 0xf)) + m;
                upper[j] = (d * (q[j] >> 4)) + m;
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
        float m = F16.LoadBranchless(ref Unsafe.Add(ref block, 2));
        return TUse.Affine(BlockQuants.Nibbles(ref block, 4).AsSByte(), in d, in m, ref operand, sum);
    }
}
