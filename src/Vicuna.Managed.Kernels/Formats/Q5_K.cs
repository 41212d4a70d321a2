using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// Superblocks of 256 five-bit numbers in eight groups of 32, each with a 6-bit scale s and a 6-bit minimum m:
/// x[i] = (d · s[g]) · q[i] - e · m[g] with g = i / 32.
/// <list type="table">
/// <listheader><term>bytes</term><description>content</description></listheader>
/// <item><term>0-1</term><description>d, f16: scale of the scales</description></item>
/// <item><term>2-3</term><description>e, f16: scale of the minimums</description></item>
/// <item><term>4-15</term><description>s[0..7] and m[0..7], see <see cref="PackedScales"/></description></item>
/// <item><term>16 + j, j 0-31</term><description>bit 4 of q[32 g + j] in bit g</description></item>
/// <item><term>48 + 32 c + j, c 0-3, j 0-31</term><description>bits 3-0 of q[64 c + j] in bits 3-0, of q[64 c + 32 + j] in bits 7-4</description></item>
/// </list>
/// Source of the layout: ggml, <c>block_q5_K</c>.
/// </summary>
internal readonly struct Q5_K : IBlockFormat<Q5_K>
{
    public static string Name => "q5_k";

    public static int BlockElements => 256;

    public static int BlockBytes => 176;

    public static void Dequantize(ReadOnlySpan<byte> blocks, Span<float> destination)
    {
        int count = BlockSpans.Count<Q5_K>(blocks, destination);
        for (int b = 0; b < count; b++)
        {
            ReadOnlySpan<byte> block = blocks.Slice(b * 176, 176);
            float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
            float e = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
            (ulong scales, ulong minimums) = PackedScales.Unpack(block.Slice(4, PackedScales.Bytes));
            ReadOnlySpan<byte> high = block.Slice(16, 32);
            for (int group = 0; group < 8; group++)
            {
                int lowShift = (group & 1) * 4;
                float scale = d * (byte)(scales >> (8 * group));
                float minimum = e * (byte)(minimums >> (8 * group));
                ReadOnlySpan<byte> low = block.Slice(48 + (group / 2 * 32), 32);
                Span<float> x = destination.Slice((b * 256) + (group * 32), 32);
                for (int j = 0; j < 32; j++)
                {
                    x[j] = (scale * (((low[j] >> lowShift) & 0xf) | (((high[j] >> group) & 1) << 4))) - minimum;
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
        (Vector256<float> scales, Vector256<float> offsets) = PackedScales.Load(ref block);
        Vector256<ushort> high = BlockQuants.Read<Vector256<ushort>>(ref block, 16);
        for (int group = 0; group < 8; group += 2)
        {
            // Words are shifted: the bits that slip in from the next byte are never those that the masks leave.
            Vector256<byte> q = BlockQuants.Read<Vector256<byte>>(ref block, 48 + (group * 16));
            Vector256<byte> even = BlockQuants.Low(q) | ((high << 4).AsByte() & Vector256.Create((byte)16));
            Vector256<byte> odd = BlockQuants.High(q) | ((high << 3).AsByte() & Vector256.Create((byte)16));
            high >>>= 2;
            ref float x = ref Unsafe.Add(ref operand, group * 32);
            sum = TUse.Affine(even.AsSByte(), in BlockQuants.At(ref scales, group), in BlockQuants.At(ref offsets, group), ref x, sum);
            x = ref Unsafe.Add(ref x, 32);
            sum = TUse.Affine(odd.AsSByte(), in BlockQuants.At(ref scales, group + 1), in BlockQuants.At(ref offsets, group + 1), ref x, sum);
        }

        return sum;
    }
}
