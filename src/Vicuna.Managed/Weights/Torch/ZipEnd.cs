using Vicuna.Managed.Kernels.Memory;
using static Vicuna.Managed.Weights.Torch.LittleEndian;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>Where the central directory of a zip archive lies, from the records at the end of the file (APPNOTE 6.3.10, 4.3.14 to 4.3.16).</summary>
/// <param name="Offset">First byte of the directory.</param>
/// <param name="Size">Its bytes, at most 64 MB.</param>
/// <param name="Count">Its entries: no more than fit into its bytes.</param>
internal readonly record struct ZipEnd(long Offset, int Size, int Count)
{
    /// <summary>Entries that an archive may have.</summary>
    public const int MaxEntries = 100_000;

    private const int MaxDirectoryBytes = 64 << 20;
    private const int EndBytes = 22;
    private const int LocatorBytes = 20;
    private const int Zip64Bytes = 56;
    private const uint EndSignature = 0x06054b50;
    private const uint LocatorSignature = 0x07064b50;
    private const uint Zip64Signature = 0x06064b50;

    /// <summary>
    /// Reads the end records. They must be the last bytes of the file and follow the directory directly: readers that search for them
    /// can be made to disagree about which directory counts.
    /// </summary>
    /// <exception cref="ModelFormatException">The records are missing, contradict each other or claim too much.</exception>
    public static ZipEnd Read(ByteRegion file, string fileName)
    {
        long tail = file.Length - EndBytes;
        if (tail < 0 || U32(file.Bytes(tail, EndBytes), 0) != EndSignature)
        {
            throw Fail(fileName, $"expected a zip archive's end record in the last {EndBytes} of {file.Length} bytes, found none: "
                + "the file is cut short or has bytes after its end");
        }

        ReadOnlySpan<byte> end = file.Bytes(tail, EndBytes);
        ushort countHere = U16(end, 8);
        ushort count = U16(end, 10);
        uint size = U32(end, 12);
        uint offset = U32(end, 16);
        if (U16(end, 4) != 0 || U16(end, 6) != 0 || countHere != count)
        {
            throw Fail(fileName, $"expected one archive, found part {U16(end, 4)} of several ({countHere} of {count} entries)");
        }

        if (U16(end, 20) != 0)
        {
            throw Fail(fileName, $"expected no archive comment, found one of {U16(end, 20)} bytes");
        }

        if (tail >= LocatorBytes && U32(file.Bytes(tail - LocatorBytes, LocatorBytes), 0) == LocatorSignature)
        {
            return ReadZip64(file, fileName, tail - LocatorBytes, count, size, offset);
        }

        return count == ushort.MaxValue || size == uint.MaxValue || offset == uint.MaxValue
            ? throw Fail(fileName, "the end record refers to a ZIP64 record, and there is none")
            : Create(fileName, tail, offset, size, count);
    }

    private static ZipEnd ReadZip64(ByteRegion file, string fileName, long locatorOffset, ushort count16, uint size32, uint offset32)
    {
        ReadOnlySpan<byte> locator = file.Bytes(locatorOffset, LocatorBytes);
        long tail = locatorOffset - Zip64Bytes;
        if (U32(locator, 4) != 0 || U32(locator, 16) != 1 || tail < 0 || U64(locator, 8) != (ulong)tail)
        {
            throw Fail(fileName, $"expected the ZIP64 end record at byte {tail} of part 0 of 1, "
                + $"found it said to be at {U64(locator, 8)} of part {U32(locator, 4)} of {U32(locator, 16)}");
        }

        ReadOnlySpan<byte> record = file.Bytes(tail, Zip64Bytes);
        if (U32(record, 0) != Zip64Signature || U64(record, 4) != Zip64Bytes - 12)
        {
            throw Fail(fileName, $"expected a ZIP64 end record of {Zip64Bytes} bytes at byte {tail}, found something else");
        }

        ulong count = U64(record, 32);
        ulong size = U64(record, 40);
        ulong offset = U64(record, 48);
        if (U32(record, 16) != 0 || U32(record, 20) != 0 || U64(record, 24) != count)
        {
            throw Fail(fileName, $"expected one archive, found part {U32(record, 16)} of several ({U64(record, 24)} of {count} entries)");
        }

        bool agree = (count16 == ushort.MaxValue || count16 == count) && (size32 == uint.MaxValue || size32 == size)
            && (offset32 == uint.MaxValue || offset32 == offset);
        return agree
            ? Create(fileName, tail, offset, size, count)
            : throw Fail(fileName, $"the end records disagree: {count16} entries, {size32} bytes at {offset32}, and in ZIP64 {count}, {size} at {offset}");
    }

    private static ZipEnd Create(string fileName, long tail, ulong offset, ulong size, ulong count)
    {
        if (offset > (ulong)tail || size != (ulong)tail - offset)
        {
            throw Fail(fileName, $"expected the directory to end at byte {tail}, found {size} bytes at {offset}");
        }

        if (size > MaxDirectoryBytes || count > MaxEntries || count * ZipDirectory.HeaderBytes > size)
        {
            throw Fail(fileName, $"the directory claims {count} entries in {size} bytes; at most {MaxEntries} entries, {MaxDirectoryBytes} bytes and "
                + $"one entry per {ZipDirectory.HeaderBytes} bytes are possible");
        }

        return new ZipEnd((long)offset, (int)size, (int)count);
    }

    private static ModelFormatException Fail(string fileName, string problem) => new(fileName, problem, item: null);
}
