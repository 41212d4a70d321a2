using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>
/// Builds checkpoints byte by byte as PyTorch's writer does (padding to 64 bytes, data descriptors, ZIP64 end records), with any defect
/// that its properties and those of the records ask for.
/// </summary>
internal sealed class TorchFileBuilder
{
    private const uint AllOnes = uint.MaxValue;

    public string Folder { get; set; } = "archive";

    public List<TorchRecord> Records { get; } = [];

    public byte[] Before { get; set; } = [];

    public byte[] After { get; set; } = [];

    /// <summary>Bytes between the directory and the end records.</summary>
    public byte[] AfterDirectory { get; set; } = [];

    public bool HasZip64Record { get; set; } = true;

    public bool HasZip64Locator { get; set; } = true;

    public bool HasEnd { get; set; } = true;

    public ushort Disk { get; set; }

    public uint Zip64Disk { get; set; }

    public string Comment { get; set; } = string.Empty;

    public ulong? Count { get; set; }

    public ushort? Count16 { get; set; }

    public ulong? DirectorySize { get; set; }

    public uint? DirectorySize32 { get; set; }

    /// <summary>The file around the reference pickle: one f16 tensor `w` of [2, 2] whose bytes are 1 to 8.</summary>
    public static TorchFileBuilder Valid() => Of(PickleWriter.Reference, ("0", [1, 2, 3, 4, 5, 6, 7, 8]));

    public static TorchFileBuilder Of(byte[] pickle, params (string Key, byte[] Data)[] storages)
    {
        TorchFileBuilder builder = new();
        builder.Add("data.pkl", pickle);
        builder.Add("byteorder", "little"u8.ToArray());
        foreach ((string key, byte[] data) in storages)
        {
            builder.Add("data/" + key, data);
        }

        builder.Add("version", "3\n"u8.ToArray());
        builder.Add(".data/serialization_id", "0123456789"u8.ToArray());
        return builder;
    }

    public TorchRecord this[string name] => Records.Single(record => record.Name == $"{Folder}/{name}");

    public TorchRecord Add(string name, byte[] data)
    {
        TorchRecord record = new() { Name = $"{Folder}/{name}", Data = data };
        Records.Add(record);
        return record;
    }

    public byte[] Build()
    {
        using MemoryStream output = new();
        Write(output);
        return output.ToArray();
    }

    public void Write(Stream output)
    {
        output.Write(Before);
        List<byte[]> headers = Records.ConvertAll(record => WriteRecord(output, record));
        ulong directoryOffset = (ulong)output.Position;
        headers.ForEach(header => output.Write(header));
        output.Write(AfterDirectory);
        WriteEnd(output, directoryOffset, DirectorySize ?? ((ulong)output.Position - directoryOffset), Count ?? (ulong)Records.Count);
        output.Write(After);
    }

    // The polynomial division bit by bit: slow, and independent of the library's tables.
    public static uint Crc(ReadOnlySpan<byte> bytes)
    {
        uint state = AllOnes;
        foreach (byte value in bytes)
        {
            state ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                state = (state & 1) != 0 ? (state >> 1) ^ 0xEDB88320 : state >> 1;
            }
        }

        return ~state;
    }

    public static byte[] Zip64Extra(params ulong[] values) =>
        Join(U16(1), U16(8 * values.Length), Join([.. values.Select(U64)]));

    private static byte[] WriteRecord(Stream output, TorchRecord record)
    {
        ulong offset = (ulong)output.Position;
        ulong size = (ulong)(record.Data.Length + record.Hole);
        uint crc = record.Crc ?? Crc(record.Data);
        byte[] name = Encoding.UTF8.GetBytes(record.Name);
        byte[] localName = Encoding.UTF8.GetBytes(record.LocalName ?? record.Name);
        int padding = (int)(64 - ((long)offset + 30 + localName.Length + record.LocalExtra.Length + 4) % 64) % 64;
        uint localSize = record.LocalSize ?? 0;
        output.Write(Join(
            U32(0x04034b50), U16(0), U16(record.LocalFlags ?? record.Flags), U16(record.LocalMethod ?? record.Method), U32(0), U32(record.LocalCrc),
            U32(localSize), U32(localSize), U16(localName.Length), U16(record.LocalExtra.Length + 4 + padding), localName, record.LocalExtra,
            "FB"u8.ToArray(), U16(padding), [.. Enumerable.Repeat((byte)'Z', padding)], record.Data));
        output.Position += record.Hole;
        bool large = size >= AllOnes;
        if (record.HasDescriptor && size > 0)
        {
            bool wide = large || offset >= AllOnes;
            byte[] stated = wide ? U64(record.DescriptorSize ?? size) : U32((uint)(record.DescriptorSize ?? size));
            output.Write(Join(U32(0x08074b50), U32(record.DescriptorCrc ?? crc), stated, stated));
        }

        output.Write(record.Slack);
        ulong[] wides = [.. large ? new[] { size, size } : [], .. offset >= AllOnes ? new[] { offset } : []];
        byte[] extra = Join(wides.Length > 0 ? Zip64Extra(wides) : [], record.CentralExtra);
        uint size32 = record.Size ?? (uint)Math.Min(size, AllOnes);
        return Join(
            U32(0x02014b50), U16(0), U16(0), U16(record.Flags), U16(record.Method), U32(0), U32(crc), U32(record.CompressedSize ?? size32), U32(size32),
            U16(name.Length), U16(extra.Length), U16(0), U16(record.Disk), U16(0), U32(0), U32(record.Offset ?? (uint)Math.Min(offset, AllOnes)), name, extra);
    }

    private void WriteEnd(Stream output, ulong offset, ulong size, ulong count)
    {
        ulong zip64Offset = (ulong)output.Position;
        if (HasZip64Record)
        {
            output.Write(Join(
                U32(0x06064b50), U64(44), U16(0x031E), U16(45), U32(Zip64Disk), U32(Zip64Disk), U64(count), U64(count), U64(size), U64(offset)));
        }

        if (HasZip64Locator)
        {
            output.Write(Join(U32(0x07064b50), U32(0), U64(zip64Offset), U32(1)));
        }

        if (HasEnd)
        {
            int count16 = Count16 ?? (int)Math.Min(count, ushort.MaxValue);
            byte[] comment = Encoding.UTF8.GetBytes(Comment);
            output.Write(Join(
                U32(0x06054b50), U16(Disk), U16(Disk), U16(count16), U16(count16), U32(DirectorySize32 ?? (uint)Math.Min(size, AllOnes)),
                U32((uint)Math.Min(offset, AllOnes)), U16(comment.Length), comment));
        }
    }

    private static byte[] Join(params byte[][] parts) => [.. parts.SelectMany(part => part)];

    private static byte[] U16(int value)
    {
        byte[] bytes = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)value);
        return bytes;
    }

    private static byte[] U32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] U64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
