using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights;

/// <summary>
/// Recognizes by its first bytes a file that is not what its name says: the usual outcome of a download that went wrong. Asked only
/// after a reader has refused a file, because no beginning alone proves that a file is not a checkpoint.
/// </summary>
internal static class FileKinds
{
    private const int LookedAt = 64;

    /// <summary>What the file seems to be, as the end of a message (<c>; it looks like ...</c>), or an empty string.</summary>
    /// <param name="file">The refused file's bytes, of any length.</param>
    public static string Hint(ByteRegion file)
    {
        ReadOnlySpan<byte> start = file.Bytes(0, (int)Math.Min(file.Length, LookedAt));
        return Kind(start) is string kind ? $"; it looks like {kind}" : string.Empty;
    }

    private static string? Kind(ReadOnlySpan<byte> start)
    {
        ReadOnlySpan<byte> text = start.TrimStart(" \t\r\n"u8);
        return start.StartsWith("version https://git-lfs"u8) ? "a Git LFS pointer instead of the file itself ('git lfs pull' fetches it)"
            : start.StartsWith("GGUF"u8) ? "a GGUF file"
            : start.StartsWith("PK\x3\x4"u8) ? "a zip archive, as PyTorch's .bin and .pt files are"
            : start.Length > 1 && start[0] == 0x1f && start[1] == 0x8b ? "a gzip archive"
            : start.Length > 1 && start[0] == 0x80 && start[1] is >= 2 and <= 5 ? "a Python pickle, as old PyTorch files are"
            : text.StartsWith("<"u8) ? "a web page (a failed download?)"
            : text.StartsWith("{"u8) ? "JSON text"
            : null;
    }
}
