using System.Buffers.Binary;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>Little-endian numbers at an offset: short names for reading fixed records.</summary>
internal static class LittleEndian
{
    /// <summary>Two bytes at <paramref name="offset"/>.</summary>
    public static ushort U16(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[offset..]);

    /// <summary>Four bytes at <paramref name="offset"/>.</summary>
    public static uint U32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    /// <summary>Eight bytes at <paramref name="offset"/>.</summary>
    public static ulong U64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
