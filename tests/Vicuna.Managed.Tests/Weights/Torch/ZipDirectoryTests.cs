using System.Diagnostics;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>The container's cases Z1 to Z11 of the design's refusal corpus (Z11 is in <see cref="TorchFileTests"/>).</summary>
public sealed class ZipDirectoryTests
{
    private static readonly Dictionary<string, (Action<TorchFileBuilder> Damage, string Expected)> Cases = new()
    {
        ["Z1 no end record"] = (file => file.HasEnd = false, "cut short or has bytes after its end"),
        ["Z1 two end records"] = (file => file.After = EndOf(TorchFileBuilder.Valid()), "expected the directory to end"),
        ["Z1 one byte after"] = (file => file.After = [0], "cut short or has bytes after its end"),
        ["Z1 one byte before"] = (file => file.Before = [0x50], "not a zip archive"),
        ["Z1 an archive before"] = (file => file.Before = TorchFileBuilder.Valid().Build(), "expected the zip archive to start at byte 0"),
        ["Z1 comment"] = (file => file.Comment = "hi", "cut short or has bytes after its end"),
        ["Z1 bytes after the directory"] = (file => { file.AfterDirectory = [1, 2]; file.DirectorySize = null; }, "2 more bytes"),
        ["Z1 bytes between directory and end"] = (file => { file.AfterDirectory = [1, 2]; file.DirectorySize = 400; }, "expected the directory to end"),
        ["Z2 compressed"] = (file => file["data/0"].Method = 8, "compressed (zip method 8)"),
        ["Z2 compressed in the local header alone"] = (file => file["data/0"].LocalMethod = 8, "disagrees with the directory"),
        ["Z3 other local name"] = (file => file["data/0"].LocalName = "archive/data/1", "has another name"),
        ["Z3 longer local name"] = (file => file["data/0"].LocalName = "archive/data/01", "has another name"),
        ["Z4 two records in one place"] = (file => Overlay(file, sameName: false), "has another name"),
        ["Z4 record inside another"] = (file => file["data.pkl"].Size = file["data.pkl"].CompressedSize = 400, "overlaps the next entry by"),
        ["Z4 shorter than its place"] = (file => file["data.pkl"].Size = file["data.pkl"].CompressedSize = 200, "unknown bytes after its data"),
        ["Z4 slack"] = (file => file["data.pkl"].Slack = new byte[16], "32 unknown bytes after its data"),
        ["Z4 unmarked descriptor"] = (Unmarked, "16 unknown bytes after its data"),
        ["Z4 descriptor of another checksum"] = (file => file["data.pkl"].DescriptorCrc = 1, "16 unknown bytes after its data"),
        ["Z4 descriptor of another size"] = (file => file["data.pkl"].DescriptorSize = 1, "16 unknown bytes after its data"),
        ["Z4 header in the directory"] = (file => file["data.pkl"].Offset = 100_000, "does not lie before the directory"),
        ["Z4 data in the directory"] = (file => file["version"].Size = file["version"].CompressedSize = 400, "do not lie before the directory"),
        ["Z5 duplicate"] = (file => file.Add("data.pkl", PickleWriter.Reference), "holds this name twice"),
        ["Z5 duplicate in one place"] = (file => Overlay(file, sameName: true), "holds this name twice"),
        ["Z6 encrypted"] = (file => file["data.pkl"].Flags = 0x0809, "zip flags 0809"),
        ["Z6 encrypted in the local header alone"] = (file => file["data.pkl"].LocalFlags = 0x0809, "disagrees with the directory"),
        ["Z6 masked headers"] = (file => file["data.pkl"].Flags = 0x2808, "zip flags 2808"),
        ["Z6 other local checksum"] = (file => file["data.pkl"].LocalCrc = 1, "disagrees with the directory"),
        ["Z6 other local size"] = (file => file["data.pkl"].LocalSize = 1, "disagrees with the directory"),
        ["Z6 sizes missing"] = (file => file["data.pkl"].Flags = 0x0800, "disagrees with the directory"),
        ["Z7 hidden second pickle"] = (file => file.Add("config.p", PickleWriter.Reference), "a record that PyTorch's checkpoints do not have"),
        ["Z7 folder entry"] = (file => file.Add(string.Empty, []), "a record that PyTorch's checkpoints do not have"),
        ["Z8 ZIP64 size missing"] = (file => file["data/0"].Size = file["data/0"].CompressedSize = uint.MaxValue, "its ZIP64 field of 0 bytes"),
        ["Z8 ZIP64 field too short"] = (file => Zip64(file, 8), "its ZIP64 field of 8 bytes"),
        ["Z8 ZIP64 field too long"] = (file => Zip64(file, 8, 8, 8), "its ZIP64 field of 24 bytes"),
        ["Z8 ZIP64 sizes differ"] = (file => Zip64(file, 8, 9), "found 9 and 8 bytes"),
        ["Z8 ZIP64 size of 2^64 - 1"] = (file => Zip64(file, ulong.MaxValue, ulong.MaxValue), "do not lie before the directory"),
        ["Z8 ZIP64 offset of 2^64 - 1"] = (file => Far(file, ulong.MaxValue), "does not lie before the directory"),
        ["Z8 ZIP64 field without need"] = (file => file["data/0"].CentralExtra = TorchFileBuilder.Zip64Extra(8, 8), "its ZIP64 field of 16 bytes"),
        ["Z8 two ZIP64 fields"] = (file => file["data/0"].CentralExtra = [1, 0, 0, 0, 1, 0, 0, 0], "two ZIP64 fields"),
        ["Z8 extra field cut short"] = (file => file["data/0"].CentralExtra = [9, 9, 1, 0], "cut short"),
        ["Z8 extra field of one byte"] = (file => file["data/0"].CentralExtra = [9], "cut short"),
        ["Z8 local ZIP64 size missing"] = (file => file["data/0"].LocalSize = uint.MaxValue, "its ZIP64 field of 0 bytes"),
        ["Z8 local ZIP64 size differs"] = (file => LocalZip64(file, 9), "disagrees with the directory"),
        ["Z8 sizes differ"] = (file => file["data/0"].CompressedSize = 4, "found 4 and 8 bytes"),
        ["Z8 entry on another disk"] = (file => file["data/0"].Disk = 1, "in part 1"),
        ["Z8 end record on another disk"] = (file => file.Disk = 1, "found part 1 of several"),
        ["Z8 ZIP64 record on another disk"] = (file => file.Zip64Disk = 1, "found part 1 of several"),
        ["Z8 end records disagree on the count"] = (file => file.Count16 = 2, "the end records disagree"),
        ["Z8 end records disagree on the size"] = (file => file.DirectorySize32 = 2, "the end records disagree"),
        ["Z8 locator without record"] = (file => file.HasZip64Record = false, "ZIP64 end record"),
        ["Z8 record without locator"] = (file => file.HasZip64Locator = false, "expected the directory to end"),
        ["Z8 record missing though needed"] = (file => { file.HasZip64Record = file.HasZip64Locator = false; file.Count16 = ushort.MaxValue; },
            "there is none"),
        ["Z9 second folder"] = (file => file.Add("x", []).Name = "archive2/data.pkl", "in one folder, 'archive/'"),
        ["Z9 no folder"] = (file => file.Records[0].Name = "data.pkl", "in one folder, ''"),
        ["Z9 folder of the same start"] = (file => file.Records[^1].Name = "arch", "in one folder, 'archive/'"),
        ["Z10 one entry too many"] = (file => file.Count = 6, "expected 6 entries in the zip directory, found 5"),
        ["Z10 one entry too few"] = (file => file.Count = 4, "expected the zip directory to end after 4 entries"),
        ["Z10 2^32 entries"] = (file => file.Count = 1UL << 32, "claims 4294967296 entries"),
        ["Z10 2^64 - 1 entries"] = (file => file.Count = ulong.MaxValue, "claims 18446744073709551615 entries"),
        ["Z10 2^63 bytes of directory"] = (file => file.DirectorySize = 1UL << 63, "expected the directory to end"),
        ["Z10 more entries than fit"] = (file => file.Count = 99_999, "claims 99999 entries"),
    };

    public static TheoryData<string> CaseNames() => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Read_DefectiveArchive_IsRefused(string name)
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        Cases[name].Damage(builder);
        byte[] bytes = builder.Build();
        Stopwatch clock = Stopwatch.StartNew();
        long before = GC.GetAllocatedBytesForCurrentThread();

        string message = TorchReading.Refusal(bytes);

        Assert.Contains(Cases[name].Expected, message, StringComparison.Ordinal);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"Took {clock.Elapsed}.");
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20, "Allocated for what the archive only claims.");
    }

    [Fact]
    public void Read_NameThatIsNotUtf8_IsRefused()
    {
        byte[] bytes = TorchFileBuilder.Valid().Build();
        bytes[bytes.AsSpan().LastIndexOf("archive"u8)] = 0xFF;

        Assert.Contains("is not UTF-8", TorchReading.Refusal(bytes), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_TruncatedAnywhere_IsRefused()
    {
        byte[] bytes = TorchFileBuilder.Valid().Build();
        for (int length = 0; length < bytes.Length; length++)
        {
            TorchReading.Refusal(bytes[..length]);
        }
    }

    [Fact]
    public void Read_ValidArchive_GivesWhereTheBytesLie()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();

        List<string> entries = TorchReading.Use(builder.Build(), region => ZipDirectory.Read(region, "f").Select(entry =>
            $"{entry.Name} {entry.DataOffset % 64} {Convert.ToHexString(region.Bytes(entry.DataOffset, (int)Math.Min(8, entry.Size)))}").ToList());

        Assert.Equal(5, entries.Count);
        Assert.Equal("archive/data.pkl 0 800263636F6C6C65", entries[0]);
        Assert.Equal("archive/data/0 0 0102030405060708", entries[2]);
    }

    [Fact]
    public void Read_ArchiveOfOtherWriters_IsAccepted()
    {
        // As Python's zipfile and PyTorch before 1.7 write: sizes in the local header, no descriptors, no ZIP64 records.
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder.HasZip64Record = builder.HasZip64Locator = false;
        foreach (TorchRecord record in builder.Records)
        {
            record.Flags = 0;
            record.HasDescriptor = false;
            record.LocalSize = (uint)record.Data.Length;
            record.LocalCrc = TorchFileBuilder.Crc(record.Data);
        }

        LocalZip64(builder, 8);

        Assert.Single(TorchReading.Read(builder.Build()));
    }

    [Fact]
    public void Read_ArchiveThatPythonWrote_IsAccepted()
    {
        // zipfile.ZipFile(path, "w"): data.pkl with an empty dict, version, and byteorder written with force_zip64=True.
        byte[] bytes = Convert.FromHexString(
            "504b03041400000000002fa9775d3db7de89040000000400000010000000617263686976652f646174612e706b6c80027d2e504b03041400000000002fa9775dd19e6755"
            + "02000000020000000f000000617263686976652f76657273696f6e330a504b03042d000000000000002100853de319ffffffffffffffff11001400617263686976652f"
            + "627974656f7264657201001000060000000000000006000000000000006c6974746c65504b010214031400000000002fa9775d3db7de890400000004000000"
            + "100000000000000000000000800100000000617263686976652f646174612e706b6c504b010214031400000000002fa9775dd19e675502000000020000000f00"
            + "00000000000000000000800132000000617263686976652f76657273696f6e504b01022d032d000000000000002100853de3190600000006000000110000"
            + "000000000000000000800161000000617263686976652f627974656f72646572504b05060000000003000300ba000000aa0000000000");

        Assert.Empty(TorchReading.Read(bytes, verifyStorages: true));
        Assert.Equal(3, TorchReading.Use(bytes, region => ZipDirectory.Read(region, "f").Count));
    }

    [Fact]
    public void Read_70000Entries_AreCountedThroughZip64()
    {
        TorchFileBuilder builder = new();
        for (int i = 0; i < 70_000; i++)
        {
            builder.Add($"data/{i}", []);
        }

        Assert.Equal(70_000, TorchReading.Use(builder.Build(), region => ZipDirectory.Read(region, "f").Count));
    }

    [Fact]
    public void Crc32_KnownVectorAndEveryLength_AgreeWithLongDivision()
    {
        Assert.Equal(0xCBF43926u, Crc32.Compute("123456789"u8));
        byte[] bytes = [.. Enumerable.Range(0, 67).Select(i => (byte)(i * 37))];
        for (int length = 0; length <= bytes.Length; length++)
        {
            Assert.Equal(TorchFileBuilder.Crc(bytes.AsSpan(0, length)), Crc32.Compute(bytes.AsSpan(0, length)));
        }
    }

    [Fact]
    public void Crc32_RegionOfSeveralChunks_EqualsThatOfItsBytes()
    {
        using AlignedBuffer buffer = AlignedBuffer.Allocate((16 << 20) + 5);
        buffer.Writable(buffer.Length - 9, 9).Fill(7);

        Assert.Equal(Crc32.Compute(buffer.Bytes(0, (int)buffer.Length)), Crc32.Compute(buffer.Region, TestContext.Current.CancellationToken));
    }

    private static byte[] EndOf(TorchFileBuilder builder) => builder.Build()[^22..];

    // A second directory entry for the bytes of the first record.
    private static void Overlay(TorchFileBuilder file, bool sameName)
    {
        TorchRecord record = file.Add(sameName ? "data.pkl" : "data/1", []);
        record.Offset = 0;
        record.Size = record.CompressedSize = (uint)PickleWriter.Reference.Length;
    }

    // A record whose local header is complete, and yet something like a descriptor follows its data.
    private static void Unmarked(TorchFileBuilder file)
    {
        TorchRecord record = file["data.pkl"];
        record.Flags = 0x0800;
        record.LocalSize = (uint)record.Data.Length;
        record.LocalCrc = TorchFileBuilder.Crc(record.Data);
    }

    private static void Zip64(TorchFileBuilder file, params ulong[] values)
    {
        TorchRecord record = file["data/0"];
        record.Size = record.CompressedSize = uint.MaxValue;
        record.CentralExtra = TorchFileBuilder.Zip64Extra(values);
    }

    private static void Far(TorchFileBuilder file, ulong offset)
    {
        file["data/0"].Offset = uint.MaxValue;
        file["data/0"].CentralExtra = TorchFileBuilder.Zip64Extra(offset);
    }

    private static void LocalZip64(TorchFileBuilder file, ulong size)
    {
        TorchRecord record = file["data/0"];
        record.LocalSize = uint.MaxValue;
        record.LocalCrc = TorchFileBuilder.Crc(record.Data);
        record.LocalExtra = TorchFileBuilder.Zip64Extra(size, size);
    }
}
