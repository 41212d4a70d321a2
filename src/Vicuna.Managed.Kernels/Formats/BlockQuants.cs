using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using X86 = System.Runtime.Intrinsics.X86;

namespace Vicuna.Managed.Kernels.Formats;

/// <summary>What the layouts of quantized blocks have in common, with AVX2: nothing is read beyond what is named.</summary>
internal static class BlockQuants
{
    /// <summary>The bytes at an offset in a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Read<T>(ref byte block, int offset)
        where T : struct => Unsafe.ReadUnaligned<T>(ref Unsafe.Add(ref block, offset));

    /// <summary>16 bytes as 32 numbers: first their bits 3-0, then their bits 7-4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Nibbles(ref byte block, int offset)
    {
        Vector128<byte> bytes = Read<Vector128<byte>>(ref block, offset);
        return Vector256.Create(bytes, (bytes.AsUInt16() >>> 4).AsByte()) & Vector256.Create((byte)0xf);
    }

    /// <summary>Bits 3-0 of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Low(Vector256<byte> bytes) => bytes & Vector256.Create((byte)0xf);

    /// <summary>Bits 7-4 of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> High(Vector256<byte> bytes) => (bytes.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)0xf);

    /// <summary>32 bits as the bits 4 of 32 numbers: 16 where bit i is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Bits4(uint bits)
    {
        // Each bit's byte to its eight lanes, then the lane's own bit of it.
        Vector256<byte> spread = X86.Avx2.Shuffle(
            Vector256.Create(bits).AsByte(),
            Vector256.Create(0x0000000000000000, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303).AsByte());
        Vector256<byte> own = Vector256.Create(0x8040201008040201).AsByte();
        return Vector256.Equals(spread & own, own) & Vector256.Create((byte)16);
    }

    /// <summary>Eight numbers times a factor, in the bytes of a word, lowest first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Products(ulong bytes, float factor) =>
        Vector256.ConvertToSingle(X86.Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(bytes).AsByte())) * factor;

    /// <summary>Eight signed numbers times a factor, in the bytes of a word, lowest first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> SignedProducts(ulong bytes, float factor) =>
        Vector256.ConvertToSingle(X86.Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(bytes).AsSByte())) * factor;

    /// <summary>Element <paramref name="index"/> of numbers that were kept in a local variable.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref float At<TVector>(ref TVector numbers, int index)
        where TVector : struct => ref Unsafe.Add(ref Unsafe.As<TVector, float>(ref numbers), index);
}
