using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Tests.Support;

/// <summary>Bytes of a test as the native memory that parsers read.</summary>
internal static class Regions
{
    public static AlignedBuffer Copy(ReadOnlySpan<byte> bytes)
    {
        AlignedBuffer buffer = AlignedBuffer.Allocate(bytes.Length);
        bytes.CopyTo(buffer.Writable(0, bytes.Length));
        return buffer;
    }
}
