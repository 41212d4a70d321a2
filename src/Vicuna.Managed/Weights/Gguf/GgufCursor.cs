using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>Reads little-endian values one after another; every read is checked against the end of the bytes before anything is allocated.</summary>
/// <param name="bytes">What is read.</param>
/// <param name="fileName">The file's name, for messages.</param>
internal sealed class GgufCursor(ByteRegion bytes, string fileName)
{
    /// <summary>Offset of the next byte.</summary>
    public long Position { get; private set; }

    /// <summary>Bytes left.</summary>
    public long Remaining => bytes.Length - Position;

    /// <summary>Makes an exception about this file.</summary>
    public ModelFormatException Error(string item, string problem) => new(fileName, problem, item);

    /// <summary>Reads an unsigned 32-bit integer.</summary>
    /// <exception cref="ModelFormatException">The file ends before it.</exception>
    public uint ReadUInt32(string item) => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint), item));

    /// <summary>Reads an unsigned 64-bit integer.</summary>
    /// <exception cref="ModelFormatException">The file ends before it.</exception>
    public ulong ReadUInt64(string item) => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong), item));

    /// <summary>Reads a number of things that follow, each of which takes at least <paramref name="minimumBytes"/> of the remaining bytes.</summary>
    /// <exception cref="ModelFormatException">The number exceeds <paramref name="maximum"/> or what the file has room for.</exception>
    public int ReadCount(string item, int maximum, int minimumBytes)
    {
        ulong count = ReadUInt64(item);
        if (count > (ulong)maximum)
        {
            throw Error(item, $"expected a count of at most {maximum}, found {count}");
        }

        return count <= (ulong)(Remaining / minimumBytes)
            ? (int)count
            : throw Error(item, $"a count of {count} needs at least {count * (ulong)minimumBytes} bytes, the file has {Remaining} left");
    }

    /// <summary>Reads a string of <paramref name="minimum"/> to <paramref name="maximum"/> bytes.</summary>
    /// <exception cref="ModelFormatException">The length is out of range or the bytes are not UTF-8.</exception>
    public string ReadString(string item, int minimum, int maximum) => Encoding.UTF8.GetString(TakeString(item, minimum, maximum));

    /// <summary>Checks and passes over a string of at most <paramref name="maximum"/> bytes.</summary>
    /// <exception cref="ModelFormatException">The length is out of range or the bytes are not UTF-8.</exception>
    public void SkipString(string item, int maximum) => TakeString(item, 0, maximum);

    /// <summary>Passes over <paramref name="length"/> bytes and returns them as a region.</summary>
    /// <exception cref="ModelFormatException">The file ends before them.</exception>
    public ByteRegion TakeRegion(string item, long length)
    {
        CheckRemaining(length, item);
        ByteRegion region = bytes.Slice(Position, length);
        Position += length;
        return region;
    }

    /// <summary>The region from <paramref name="start"/> to the cursor.</summary>
    public ByteRegion RegionFrom(long start) => bytes.Slice(start, Position - start);

    /// <summary>Reads a scalar as described at <see cref="GgufValue.Bits"/>.</summary>
    /// <param name="type">Any type but string and array.</param>
    /// <param name="item">What the value belongs to, for messages.</param>
    /// <exception cref="ModelFormatException">The file ends before it, or a truth value is neither 0 nor 1.</exception>
    public ulong ReadScalar(GgufValueType type, string item)
    {
        ReadOnlySpan<byte> stored = Take(ScalarBytes(type), item);
        return type switch
        {
            GgufValueType.UInt8 => stored[0],
            GgufValueType.Int8 => (ulong)(sbyte)stored[0],
            GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(stored),
            GgufValueType.Int16 => (ulong)BinaryPrimitives.ReadInt16LittleEndian(stored),
            GgufValueType.UInt32 or GgufValueType.Float32 => BinaryPrimitives.ReadUInt32LittleEndian(stored),
            GgufValueType.Int32 => (ulong)BinaryPrimitives.ReadInt32LittleEndian(stored),
            GgufValueType.Bool => stored[0] <= 1 ? stored[0] : throw Error(item, $"expected a truth value of 0 or 1, found {stored[0]}"),
            _ => BinaryPrimitives.ReadUInt64LittleEndian(stored),
        };
    }

    /// <summary>Bytes that a scalar takes.</summary>
    public static int ScalarBytes(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a scalar type."),
    };

    private ReadOnlySpan<byte> TakeString(string item, int minimum, int maximum)
    {
        ulong length = ReadUInt64(item);
        if (length < (ulong)minimum || length > (ulong)maximum)
        {
            throw Error(item, $"expected a length of {minimum} to {maximum} bytes, found {length}");
        }

        ReadOnlySpan<byte> text = Take((int)length, item);
        return Utf8.IsValid(text) ? text : throw Error(item, $"the {length} bytes at offset {Position - text.Length} are not UTF-8");
    }

    private ReadOnlySpan<byte> Take(int length, string item)
    {
        CheckRemaining(length, item);
        ReadOnlySpan<byte> taken = bytes.Bytes(Position, length);
        Position += length;
        return taken;
    }

    private void CheckRemaining(long length, string item)
    {
        if (length > Remaining)
        {
            throw Error(item, $"expected {length} bytes at offset {Position}, found {Remaining}");
        }
    }
}
