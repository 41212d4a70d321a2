using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

[Collection(nameof(AloneInTheProcess))]
public sealed class HugePagesTests
{
    private const string Switch = "/sys/kernel/mm/transparent_hugepage/enabled";

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(HugePages.Bytes - 1)]
    [InlineData(HugePages.Bytes)]
    [InlineData((3 * HugePages.Bytes) + 17)]
    public void Allocate_WithHugePages_IsZeroedAndWritable(int length)
    {
        using AlignedBuffer buffer = AlignedBuffer.Allocate(length, hugePages: true);
        Assert.Equal(length, buffer.Length);
        Assert.False(buffer.Bytes(0, length).ContainsAnyExcept((byte)0));
        buffer.Writable(0, length).Fill(7);
        Assert.False(buffer.Bytes(0, length).ContainsAnyExcept((byte)7));
    }

    [Fact]
    public void Allocate_WithHugePages_TellsTheKernel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(Switch), "This system has no switch for huge pages.");
        const int length = 64 * HugePages.Bytes;
        long before = AdvisedKilobytes();
        using AlignedBuffer plain = AlignedBuffer.Allocate(length);
        Assert.Equal(before, AdvisedKilobytes());
        using AlignedBuffer advised = AlignedBuffer.Allocate(length, hugePages: true);
        Assert.InRange(AdvisedKilobytes() - before, length / 1024, (length / 1024) + 8);
    }

    // The kernel marks an advised area with 'hg' (proc(5), VmFlags).
    private static long AdvisedKilobytes()
    {
        long total = 0;
        long size = 0;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            size = words[0] == "Size:" ? long.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture) : size;
            total += words[0] == "VmFlags:" && words.Contains("hg") ? size : 0;
        }

        return total;
    }
}
