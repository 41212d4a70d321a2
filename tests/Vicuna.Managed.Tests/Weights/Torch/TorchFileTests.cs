using System.Diagnostics;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Weights.Torch;

public sealed class TorchFileTests
{
    private static readonly byte[] Eight = [1, 2, 3, 4, 5, 6, 7, 8];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Read_ReferencePickle_GivesItsTensor(bool verifyStorages)
    {
        (TensorInfo info, byte[] bytes) = Assert.Single(TorchReading.Read(TorchFileBuilder.Valid().Build(), verifyStorages));

        Assert.Equal("w", info.Name);
        Assert.Equal(TensorType.F16, info.Type);
        Assert.Equal([2L, 2L], info.Shape);
        Assert.Equal(8, info.ByteLength);
        Assert.Equal(TorchReading.FileName, info.FileName);
        Assert.Equal(Eight, bytes);
    }

    [Fact]
    public void Read_TensorsThatShareAStorage_GivesPartsOfIt()
    {
        byte[] pickle = PickleWriter.StateDict(
            new TensorSpec("whole", [2, 2]),
            new TensorSpec("second row", [2]) { Offset = 2 },
            new TensorSpec("last", []) { Offset = 3 },
            new TensorSpec("none", [3, 0]) { Offset = 4, Strides = [7, 7] },
            new TensorSpec("size one", [1, 2, 1]) { Strides = [99, 1, 0] });

        List<(TensorInfo Info, byte[] Bytes)> tensors = TorchReading.Read(TorchFileBuilder.Of(pickle, ("0", Eight)).Build());

        Assert.Equal(["whole", "second row", "last", "none", "size one"], tensors.Select(tensor => tensor.Info.Name));
        Assert.Equal([Eight, Eight[4..], Eight[6..], [], Eight[..4]], tensors.Select(tensor => tensor.Bytes));
        Assert.Equal([3L, 0L], tensors[3].Info.Shape);
    }

    [Theory]
    [InlineData("HalfStorage", TensorType.F16, 4)]
    [InlineData("BFloat16Storage", TensorType.BF16, 4)]
    [InlineData("FloatStorage", TensorType.F32, 2)]
    [InlineData("DoubleStorage", TensorType.F64, 1)]
    [InlineData("LongStorage", TensorType.I64, 1)]
    [InlineData("IntStorage", TensorType.I32, 2)]
    [InlineData("ShortStorage", TensorType.I16, 4)]
    [InlineData("CharStorage", TensorType.I8, 8)]
    [InlineData("ByteStorage", TensorType.U8, 8)]
    [InlineData("BoolStorage", TensorType.Bool, 8)]
    public void Read_StorageType_MapsToItsTensorType(string storage, object type, int count)
    {
        byte[] pickle = PickleWriter.StateDict(new TensorSpec("t", [count]) { StorageType = storage, Count = count });

        (TensorInfo info, byte[] bytes) = Assert.Single(TorchReading.Read(TorchFileBuilder.Of(pickle, ("0", Eight)).Build()));

        Assert.Equal(type, info.Type);
        Assert.Equal(Eight, bytes);
    }

    [Fact]
    public void Read_ParameterAndUnusedStorage_AreAccepted()
    {
        byte[] pickle = PickleWriter.StateDict(new TensorSpec("p", [4]) { IsParameter = true }, new TensorSpec("empty", [0]) { Key = "1", Count = 0 });

        List<(TensorInfo Info, byte[] Bytes)> tensors = TorchReading.Read(TorchFileBuilder.Of(pickle, ("0", Eight), ("1", [])).Build());

        Assert.Equal(Eight, tensors[0].Bytes);
        Assert.Empty(tensors[1].Bytes);
    }

    [Fact]
    public void Read_WithoutByteOrderRecord_AssumesLittleEndian()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder.Records.Remove(builder["byteorder"]);

        Assert.Single(TorchReading.Read(builder.Build()));
    }

    [Theory]
    [InlineData("big", "'big'")]
    [InlineData("middle", "6 other bytes")]
    [InlineData("little\n", "7 other bytes")]
    [InlineData("", "0 other bytes")]
    public void Read_OtherByteOrder_IsRefused(string order, string expected)
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder["byteorder"].Data = System.Text.Encoding.ASCII.GetBytes(order);

        Assert.Contains(expected, TorchReading.Refusal(builder.Build()), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_PickleOfWrongChecksum_IsRefused()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder["data.pkl"].Crc = 0x12345678;

        Assert.Contains("expected CRC-32 12345678", TorchReading.Refusal(builder.Build()), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_StorageOfWrongChecksum_IsRefusedWhereAsked()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder["data/0"].Crc = 0x12345678;

        Assert.Single(TorchReading.Read(builder.Build()));
        Assert.Contains("archive/data/0': expected CRC-32 12345678", TorchReading.Refusal(builder.Build(), verifyStorages: true), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_VerifyingWhileCancelled_Stops()
    {
        Assert.Throws<OperationCanceledException>(() => TorchReading.Use(
            TorchFileBuilder.Valid().Build(), region => TorchFile.Read(region, "f", verifyStorages: true, new CancellationToken(canceled: true))));
    }

    [Theory]
    [InlineData("80028A0A6CFC9C46F9206AA850192E80024DE9032E", "before 1.6")]
    [InlineData("5059544F5243483100000000", "preview release")]
    [InlineData("76657273696F6E2068747470733A2F2F6769742D6C66732E6769746875622E636F6D2F737065632F76310A", "git lfs pull")]
    [InlineData("3C21444F43545950452068746D6C3E", "not a zip archive")]
    [InlineData("", "not a zip archive")]
    [InlineData("50", "not a zip archive")]
    [InlineData("504B0304", "cut short")]
    public void Read_OtherKindOfFile_NamesTheKind(string hex, string expected) =>
        Assert.Contains(expected, TorchReading.Refusal(Convert.FromHexString(hex)), StringComparison.Ordinal);

    [Fact]
    public void Read_TarArchive_NamesTheKind()
    {
        byte[] tar = new byte[1024];
        "storages"u8.CopyTo(tar);
        "ustar"u8.CopyTo(tar.AsSpan(257));

        Assert.Contains("a tar archive", TorchReading.Refusal(tar), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_TorchScript_NamesTheKind()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder.Add("constants.pkl", PickleWriter.Reference);
        builder.Add("code/__torch__.py", []);

        Assert.Contains("TorchScript", TorchReading.Refusal(builder.Build()), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_ArchiveWithoutPickle_IsRefused()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder.Records.Remove(builder["data.pkl"]);

        TorchFileBuilder empty = new() { HasZip64Record = false, HasZip64Locator = false };

        Assert.Contains("'data.pkl': a zip archive without", TorchReading.Refusal(builder.Build()), StringComparison.Ordinal);
        Assert.Contains("'data.pkl': a zip archive without", TorchReading.Refusal(empty.Build()), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_RecordThatThePickleDoesNotName_IsRefused()
    {
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder.Add("data/1", PickleWriter.Reference);

        Assert.Contains("'data/1': a record that the pickle does not name", TorchReading.Refusal(builder.Build()), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_PickleOfMoreThan64Megabytes_IsRefusedUnread()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Needs a file system that leaves unwritten parts of files unallocated.");
        using TempFolder folder = new();
        string path = folder.File("z11.bin");
        TorchFileBuilder builder = TorchFileBuilder.Valid();
        builder["data.pkl"].Hole = 2L << 30;
        using (FileStream stream = File.Create(path))
        {
            builder.Write(stream);
        }

        Stopwatch clock = Stopwatch.StartNew();
        using MappedFile file = MappedFile.Open(path);

        ModelFormatException exception = Assert.Throws<ModelFormatException>(
            () => TorchFile.Read(file.Region, "z11.bin", false, TestContext.Current.CancellationToken));

        Assert.Contains("2147483871 bytes; at most 67108864", exception.Message, StringComparison.Ordinal);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"Took {clock.Elapsed}.");
    }

    [Fact]
    public void Read_StoragesBeyond4Gigabytes_AreFoundThroughZip64()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Needs a file system that leaves unwritten parts of files unallocated.");
        using TempFolder folder = new();
        string path = folder.File("large.bin");
        const long Count = (5L << 30) / 2;
        byte[] pickle = PickleWriter.StateDict(
            new TensorSpec("large", [Count]) { Count = Count },
            new TensorSpec("end", [4]) { Key = "1" },
            new TensorSpec("cut", [2]) { Count = Count, Offset = Count - 2 });
        TorchFileBuilder builder = TorchFileBuilder.Of(pickle, ("0", []), ("1", Eight));
        builder["data/0"].Hole = Count * 2;
        using (FileStream stream = File.Create(path))
        {
            builder.Write(stream);
        }

        using MappedFile file = MappedFile.Open(path);
        IReadOnlyList<StoredTensor> tensors = TorchFile.Read(file.Region, "large.bin", false, TestContext.Current.CancellationToken);

        Assert.Equal([5L << 30, 8, 4], tensors.Select(tensor => tensor.Region.Length));
        Assert.Equal(Eight, tensors[1].Region.Bytes(0, 8));
    }
}
