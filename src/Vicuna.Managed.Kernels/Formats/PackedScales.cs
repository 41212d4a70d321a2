using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>
/// The twelve bytes in which Q4_K and Q5_K keep eight 6-bit scales s and eight 6-bit minimums m, one pair per 32 elements.
/// <list type="table">
/// <listheader><term>byte</term><description>bits 7-6 | bits 5-0 (bytes 0-7); bits 7-4 | bits 3-0 (bytes 8-11)</description></listheader>
/// <item><term>j, 0-3</term><description>upper 2 bits of s[j + 4] | s[j]</description></item>
/// <item><term>4 + j, j 0-3</term><description>upper 2 bits of m[j + 4] | m[j]</description></item>
/// <item><term>8 + j, j 0-3</term><description>lower 4 bits of m[j + 4] | lower 4 bits of s[j + 4]</description></item>
/// </list>
/// Source of the layout: ggml, <c>block_q4_K.scales</c>.
/// </summary>
internal static class PackedScales
{
    /// <summary>Size of the packed form in bytes.</summary>
    public const int Bytes = 12;

    /// <summary>Unpacks all sixteen numbers, four at a time in the bytes of a word.</summary>
    /// <param name="packed">The packed form, <c>[12]</c>.</param>
    /// <returns>Scale j and minimum j (0 to 63) in byte j of each word, byte 0 lowest.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (ulong Scales, ulong Minimums) Unpack(ReadOnlySpan<byte> packed)
    {
        const uint low6 = 0x3f3f3f3f;
        const uint low4 = 0x0f0f0f0f;
        const uint bits4And5 = 0x30303030;
        uint scales = BinaryPrimitives.ReadUInt32LittleEndian(packed);
        uint minimums = BinaryPrimitives.ReadUInt32LittleEndian(packed[4..]);
        uint nibbles = BinaryPrimitives.ReadUInt32LittleEndian(packed[8..]);

        // Shifting a whole word by 2 brings each byte's bits 7-6 to its bits 5-4; what slips in from the next byte is masked off.
        uint upperScales = (nibbles & low4) | ((scales >> 2) & bits4And5);
        uint upperMinimums = ((nibbles >> 4) & low4) | ((minimums >> 2) & bits4And5);
        return ((scales & low6) | ((ulong)upperScales << 32), (minimums & low6) | ((ulong)upperMinimums << 32));
    }

    /// <summary>The scales d · s and the offsets -(e · m) of a block that begins with d, e and the packed form.</summary>
    /// <param name="block">The start of the block, <c>[4 + 12]</c> bytes.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Scales, Vector256<float> Offsets) Load(ref byte block)
    {
        (ulong scales, ulong minimums) = Unpack(MemoryMarshal.CreateReadOnlySpan(ref Unsafe.Add(ref block, 4), Bytes));
        // The difference to a product is the sum with its negation, bit for bit.
        return (
            BlockQuants.Products(scales, F16.LoadBranchless(ref block)),
            -BlockQuants.Products(minimums, F16.LoadBranchless(ref Unsafe.Add(ref block, 2))));
    }
}
