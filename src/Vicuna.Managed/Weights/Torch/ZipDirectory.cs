using System.Text;
using System.Text.Unicode;
using Vicuna.Managed.Kernels.Memory;
using static Vicuna.Managed.Weights.Torch.LittleEndian;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>
/// The entries of an uncompressed zip archive and where their bytes lie, so that they can be used in place (the platform's own reader does not
/// tell offsets). It accepts what PyTorch writes and nothing looser: entries must be stored, must agree with their local headers, and together
/// with the directory must cover the file from its first byte to its last, which leaves no room for overlaps or for content that another
/// reader would see differently. Format: APPNOTE 6.3.10; PyTorch's way of writing it: its third_party/miniz and caffe2/serialize.
/// </summary>
internal static class ZipDirectory
{
    /// <summary>Smallest size of one entry of the directory.</summary>
    public const int HeaderBytes = 46;

    private const int LocalBytes = 30;
    private const uint HeaderSignature = 0x02014b50;
    private const uint LocalSignature = 0x04034b50;
    private const uint DescriptorSignature = 0x08074b50;
    private const ushort Zip64Id = 1;
    private const ushort DescriptorFlag = 1 << 3;
    private const ushort Utf8Flag = 1 << 11;

    /// <summary>Reads the directory.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <returns>The entries in the directory's order; their names differ.</returns>
    /// <exception cref="ModelFormatException">The archive is damaged, or not of the strict kind described above.</exception>
    public static IReadOnlyList<ZipEntry> Read(ByteRegion file, string fileName)
    {
        ZipEnd end = ZipEnd.Read(file, fileName);
        ReadOnlySpan<byte> directory = file.Bytes(end.Offset, end.Size);
        List<ZipEntry> entries = new(end.Count);
        HashSet<string> names = new(StringComparer.Ordinal);
        for (int i = 0; i < end.Count; i++)
        {
            if (directory.Length < HeaderBytes || U32(directory, 0) != HeaderSignature)
            {
                throw new ModelFormatException(fileName, $"expected {end.Count} entries in the zip directory, found {i}", item: null);
            }

            int nameBytes = U16(directory, 28);
            int extraBytes = U16(directory, 30);
            int total = HeaderBytes + nameBytes + extraBytes + U16(directory, 32);
            if (total > directory.Length || !Utf8.IsValid(directory.Slice(HeaderBytes, nameBytes)))
            {
                throw new ModelFormatException(fileName, $"entry {i} of the zip directory: its name is not UTF-8 or it is cut short", item: null);
            }

            ZipEntry entry = ReadEntry(file, fileName, directory[..total], end.Offset);
            entries.Add(names.Add(entry.Name) ? entry : throw new ModelFormatException(fileName, "the zip archive holds this name twice", entry.Name));
            directory = directory[total..];
        }

        if (directory.Length > 0)
        {
            throw new ModelFormatException(fileName,
                $"expected the zip directory to end after {end.Count} entries, found {directory.Length} more bytes", item: null);
        }

        CheckCover(file, fileName, entries, end.Offset);
        return entries;
    }

    private static ZipEntry ReadEntry(ByteRegion file, string fileName, ReadOnlySpan<byte> header, long directoryOffset)
    {
        ReadOnlySpan<byte> nameBytes = header.Slice(HeaderBytes, U16(header, 28));
        string name = Encoding.UTF8.GetString(nameBytes);
        ushort flags = U16(header, 8);
        if ((flags & ~(DescriptorFlag | Utf8Flag)) != 0)
        {
            throw new ModelFormatException(fileName, $"zip flags {flags:X4}: encrypted or otherwise special entries are not supported", name);
        }

        if (U16(header, 10) != 0)
        {
            throw new ModelFormatException(fileName, $"compressed (zip method {U16(header, 10)}); only stored entries can be used in place: "
                + "save the checkpoint again with torch.save", name);
        }

        uint crc = U32(header, 16);
        ulong compressed = U32(header, 20);
        ulong size = U32(header, 24);
        ulong offset = U32(header, 42);
        ReadZip64(header.Slice(HeaderBytes + nameBytes.Length, U16(header, 30)), exact: true, fileName, name, ref size, ref compressed, ref offset);
        if (compressed != size || U16(header, 34) != 0)
        {
            throw new ModelFormatException(fileName,
                $"expected one stored size in part 0, found {compressed} and {size} bytes in part {U16(header, 34)}", name);
        }

        // The directory's offset is at most the file's length, so neither the subtractions nor the casts below can wrap.
        if (directoryOffset < LocalBytes || offset > (ulong)(directoryOffset - LocalBytes))
        {
            throw new ModelFormatException(fileName, $"its local header at byte {offset} does not lie before the directory at {directoryOffset}", name);
        }

        ReadOnlySpan<byte> local = file.Bytes((long)offset, LocalBytes);
        long dataOffset = (long)offset + LocalBytes + U16(local, 26) + U16(local, 28);
        if (dataOffset > directoryOffset || size > (ulong)(directoryOffset - dataOffset))
        {
            throw new ModelFormatException(fileName, $"{size} bytes at {dataOffset} do not lie before the directory at {directoryOffset}", name);
        }

        ZipEntry entry = new(name, (long)offset, dataOffset, (long)size, crc, flags);
        CheckLocal(file, fileName, entry, local, nameBytes);
        return entry;
    }

    // A reader that walks the local headers must see the same entries as one that uses the directory.
    private static void CheckLocal(ByteRegion file, string fileName, ZipEntry entry, ReadOnlySpan<byte> local, ReadOnlySpan<byte> name)
    {
        int nameLength = U16(local, 26);
        long nameOffset = entry.HeaderOffset + LocalBytes;
        if (U32(local, 0) != LocalSignature || !file.Bytes(nameOffset, nameLength).SequenceEqual(name))
        {
            throw new ModelFormatException(fileName, $"its local header at byte {entry.HeaderOffset} is missing or has another name", entry.Name);
        }

        ulong compressed = U32(local, 18);
        ulong size = U32(local, 22);
        ulong offset = 0;
        ReadZip64(file.Bytes(nameOffset + nameLength, U16(local, 28)), exact: false, fileName, entry.Name, ref size, ref compressed, ref offset);
        bool deferred = (entry.Flags & DescriptorFlag) != 0 && U32(local, 14) == 0 && size == 0 && compressed == 0;
        bool same = U32(local, 14) == entry.Crc && size == (ulong)entry.Size && compressed == size;
        if (U16(local, 6) != entry.Flags || U16(local, 8) != 0 || !(deferred || same))
        {
            throw new ModelFormatException(fileName,
                $"its local header (flags {U16(local, 6):X4}, method {U16(local, 8)}, {size} bytes) disagrees with the directory "
                + $"(flags {entry.Flags:X4}, method 0, {entry.Size} bytes)", entry.Name);
        }
    }

    // Replaces the values that a header gives as "all ones" by those of the ZIP64 extra field, which holds just these, in this order.
    private static void ReadZip64(
        ReadOnlySpan<byte> extra, bool exact, string fileName, string name, ref ulong size, ref ulong compressed, ref ulong offset)
    {
        ReadOnlySpan<byte> zip64 = default;
        for (bool found = false; extra.Length > 0;)
        {
            int length = extra.Length >= 4 ? U16(extra, 2) : int.MaxValue;
            if (length > extra.Length - 4)
            {
                throw new ModelFormatException(fileName, "an extra field of its zip header is cut short", name);
            }

            if (U16(extra, 0) == Zip64Id)
            {
                zip64 = found ? throw new ModelFormatException(fileName, "two ZIP64 fields", name) : extra.Slice(4, length);
                found = true;
            }

            extra = extra[(4 + length)..];
        }

        int available = zip64.Length;
        bool complete = Take(ref size, ref zip64) & Take(ref compressed, ref zip64) & Take(ref offset, ref zip64);
        if (!complete || (exact && zip64.Length > 0))
        {
            throw new ModelFormatException(fileName, $"its ZIP64 field of {available} bytes does not fit the sizes that its header leaves open", name);
        }
    }

    private static bool Take(ref ulong value, ref ReadOnlySpan<byte> zip64)
    {
        if (value == uint.MaxValue)
        {
            if (zip64.Length < sizeof(ulong))
            {
                return false;
            }

            value = U64(zip64, 0);
            zip64 = zip64[sizeof(ulong)..];
        }

        return true;
    }

    private static void CheckCover(ByteRegion file, string fileName, List<ZipEntry> entries, long directoryOffset)
    {
        ZipEntry[] sorted = [.. entries];
        Array.Sort(sorted, static (a, b) => a.HeaderOffset.CompareTo(b.HeaderOffset));
        long start = sorted.Length > 0 ? sorted[0].HeaderOffset : directoryOffset;
        if (start != 0)
        {
            throw new ModelFormatException(fileName, $"expected the zip archive to start at byte 0, found {start}", item: null);
        }

        for (int i = 0; i < sorted.Length; i++)
        {
            ZipEntry entry = sorted[i];
            long end = entry.DataOffset + entry.Size;
            long gap = (i + 1 < sorted.Length ? sorted[i + 1].HeaderOffset : directoryOffset) - end;
            if (gap != 0 && !(gap is 16 or 24 && IsDescriptor(file.Bytes(end, (int)gap), entry)))
            {
                string problem = gap < 0 ? $"overlaps the next entry by {-gap} bytes" : $"{gap} unknown bytes after its data";
                throw new ModelFormatException(fileName, problem, entry.Name);
            }
        }
    }

    private static bool IsDescriptor(ReadOnlySpan<byte> bytes, ZipEntry entry)
    {
        bool wide = bytes.Length == 24;
        ulong compressed = wide ? U64(bytes, 8) : U32(bytes, 8);
        ulong size = wide ? U64(bytes, 16) : U32(bytes, 12);
        return (entry.Flags & DescriptorFlag) != 0 && U32(bytes, 0) == DescriptorSignature && U32(bytes, 4) == entry.Crc
            && size == (ulong)entry.Size && compressed == size;
    }
}
