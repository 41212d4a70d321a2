using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Kernels;

/// <summary>The guard pages of the other kernel tests are worth something only if they really fault.</summary>
public sealed class GuardedBufferTests
{
    [Theory]
    [InlineData(ChildModes.ReadAfter)]
    [InlineData(ChildModes.ReadBefore)]
    [InlineData(ChildModes.WriteAfter)]
    [InlineData(ChildModes.WriteBefore)]
    public void Touch_OneByteOutside_EndsTheProcess(string mode)
    {
        ChildResult child = ChildProcess.Run(mode);
        Assert.Equal(["inside 3"], child.Lines);
        Assert.NotEqual(0, child.ExitCode);
        Assert.Contains("AccessViolation", child.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(100_000)]
    public void Copy_AnyLength_HoldsTheContentAtBothEnds(int length)
    {
        byte[] content = [.. Enumerable.Range(0, length).Select(i => (byte)i)];
        using GuardedBuffer buffer = GuardedBuffer.Allocate(length);
        Assert.Equal(0, buffer.Length % Environment.SystemPageSize);
        foreach (bool atEnd in new[] { true, false })
        {
            Assert.Equal(content, buffer.Copy<byte>(content, atEnd).ToArray());
            Assert.Equal(content, buffer.Part(length, atEnd).Bytes(0, length).ToArray());
        }
    }
}
