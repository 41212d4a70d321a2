using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

public sealed class MemoryBlockTests
{
    [Fact]
    public void Dispose_WithAReferenceHeld_KeepsTheMemoryUntilItIsReleased()
    {
        AlignedBuffer buffer = AlignedBuffer.AllocateFloats(1000);
        buffer.Floats(0, 1000)[999] = 7f;
        buffer.AddReference();
        buffer.Dispose();
        Assert.Equal(7f, buffer.Floats(999, 1)[0]);
        Assert.Throws<ObjectDisposedException>(buffer.AddReference);
        buffer.Release();
        Assert.Throws<ObjectDisposedException>(() => buffer.Bytes(0, 1).Length);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 17)]
    [InlineData(16, 1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(0, -1)]
    public void Bytes_OutsideTheBlock_Throws(long offset, int length)
    {
        using AlignedBuffer buffer = AlignedBuffer.Allocate(16);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Bytes(offset, length).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Region.Slice(offset, length));
    }

    [Fact]
    public void Open_MapsTheFilesBytes_AndResidentCopiesThem()
    {
        using TempFolder folder = new();
        byte[] bytes = [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7))];
        string path = folder.Write("data", bytes);
        using (MappedFile mapped = MappedFile.Open(path))
        {
            Assert.Equal(bytes, mapped.Bytes(0, bytes.Length).ToArray());
            Assert.Equal(bytes[4997..], mapped.Region.Slice(4990, 10).Bytes(7, 3).ToArray());
        }

        long reported = 0;
        using AlignedBuffer resident = MappedFile.LoadResident(path, done => reported = done, CancellationToken.None);
        Assert.Equal(bytes, resident.Bytes(0, bytes.Length).ToArray());
        Assert.Equal(bytes.Length, reported);
        Assert.Throws<OperationCanceledException>(() => MappedFile.LoadResident(path, null, new CancellationToken(canceled: true)));
    }

    [Fact]
    public void Open_OfNothingUsable_IsAnIOException()
    {
        using TempFolder folder = new();
        Assert.Throws<FileNotFoundException>(() => MappedFile.Open(folder.File("absent")));
        Assert.Throws<FileNotFoundException>(() => MappedFile.Open(folder.Path));
        Assert.ThrowsAny<IOException>(() => MappedFile.Open(folder.Write("empty", [])));
        if (OperatingSystem.IsLinux())
        {
            Assert.ThrowsAny<IOException>(() => MappedFile.Open("/dev/zero"));
        }
    }
}
