using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Superblocks of 256 six-bit numbers in sixteen groups of 16, each with an 8-bit scale s: x[i] = (d · s[i / 16]) · (q[i] - 32).
/// A superblock is two halves h of 128 elements, a half four quarters of 32.
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>64 h + j, j 0-63</term><description>bits 3-0 of q[128 h + j] in bits 3-0, of q[128 h + 64 + j] in bits 7-4</description></item>
/// <item><term>128 + 32 h + j, j 0-31</term><description>bits 5-4 of q[128 h + 32 k + j] in bits 2 k + 1 and 2 k, k 0-3</description></item>
/// <item><term>192-207</term><description>s[0..15], i8</description></item>
/// <item><term>208-209</term><description>d, f16: scale of the scales</description></item>
/// </list>
/// Source of the layout: ggml, <c>block_q6_K</c>.
/// </summary>
internal readonly struct Q6_K : IBlockFormat<Q6_K>
{
    public static string Name => "q6_k";

    public static int BlockElements => 256;

    public static int BlockBytes => 210;

    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        int count = BlockSpans.Count<Q6_K>(blocks, destination);
        for (int b = 0; b < count; b++)
        {
            ReadOnlySpan<byte> block = blocks.Slice(b * 210, 210);
            float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[208..]);
            for (int group = 0; group < 16; group++)
            {
                // Sixteen consecutive elements share a scale, a nibble of their sixteen low bytes and two bits of their sixteen high bytes.
                int half = group >> 3;
                int quarter = (group >> 1) & 3;
                int odd = group & 1;
                int lowShift = (quarter >> 1) * 4;
                int highShift = quarter * 2;
                float scale = d * (sbyte)block[192 + group];
                ReadOnlySpan<byte> low = block.Slice((half * 64) + ((quarter & 1) * 32) + (odd * 16), 16);
                ReadOnlySpan<byte> high = block.Slice(128 + (half * 32) + (odd * 16), 16);
                Span<float> x = destination.Slice((b * 256) + (group * 16), 16);
                for (int j = 0; j < 16; j++)
                {
                    x[j] = scale * ((((low[j] >> lowShift) & 0xf) | (((high[j] >> highShift) & 3) << 4)) - 32);
                }
            }
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TSum Walk<TUse, TSum>(ref byte block, ref float operand, TSum sum)
        where TUse : struct, IBlockUse<TSum>
        where TSum : struct
    {
        float d = F16.LoadBranchless(ref Unsafe.Add(ref block, 208));
        for (int half = 0; half < 2; half++)
        {
            // Words are shifted: the bits that slip in from the next byte are never those that the masks leave.
            Vector256<byte> first = BlockQuants.Read<Vector256<byte>>(ref block, half * 64);
            Vector256<byte> second = BlockQuants.Read<Vector256<byte>>(ref block, (half * 64) + 32);
            Vector256<ushort> high = BlockQuants.Read<Vector256<ushort>>(ref block, 128 + (half * 32));
            Vector256<float> scales = BlockQuants.SignedProducts(BlockQuants.Read<ulong>(ref block, 192 + (half * 8)), d);
            ref float x = ref Unsafe.Add(ref operand, half * 128);
            sum = Quarter<TUse, TSum>(BlockQuants.Low(first), high << 4, ref scales, 0, ref x, sum);
            sum = Quarter<TUse, TSum>(BlockQuants.Low(second), high << 2, ref scales, 1, ref x, sum);
            sum = Quarter<TUse, TSum>(BlockQuants.High(first), high, ref scales, 2, ref x, sum);
            sum = Quarter<TUse, TSum>(BlockQuants.High(second), high >>> 2, ref scales, 3, ref x, sum);
        }

        return sum;
    }

    // 32 elements with the bits 5-4 of their numbers in bits 5-4 of the bytes of `high`, and two scales.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TSum Quarter<TUse, TSum>(
        Vector256<byte> low, Vector256<ushort> high, ref Vector256<float> scales, int quarter, ref float half, TSum sum)
        where TUse : struct, IBlockUse<TSum>
        where TSum : struct
    {
        Vector256<byte> q = low | (high.AsByte() & Vector256.Create((byte)0x30));
        return TUse.Scaled(
            q.AsSByte() - Vector256.Create((sbyte)32),
            in BlockQuants.At(ref scales, quarter * 2),
            in BlockQuants.At(ref scales, (quarter * 2) + 1),
            ref Unsafe.Add(ref half, quarter * 32),
            sum);
    }
}
