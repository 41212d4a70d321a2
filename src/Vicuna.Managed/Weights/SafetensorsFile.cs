using System.Buffers.Binary;
using System.Text.Unicode;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights;

/// <summary>
/// Reads the safetensors container: a length of 8 bytes, a JSON header of that length, then the tensors' bytes without a gap.
/// The rules are those of the Rust reader (huggingface/safetensors, <c>safetensors/src/tensor.rs</c>, 0.8), which are wider than the format's
/// text: white space may stand before and after the header's object, tensors may come in any order and at any alignment, several empty
/// tensors may share an offset, <c>__metadata__</c> may be null, fields that are not known are passed over.
/// </summary>
/// <remarks>
/// What Rust's reader takes and this one refuses: a name (of a tensor, or in <c>__metadata__</c>) that stands twice; a tensor written as an
/// array or a dtype written as an object; dimensions and element counts of 2^63 or more; more than <see cref="MaxRank"/> dimensions;
/// more than <see cref="MaxTensors"/> tensors or 100,000 entries of metadata; unknown fields nested deeper than 8.
/// </remarks>
internal static class SafetensorsFile
{
    /// <summary>Largest header, in bytes (the format's own limit).</summary>
    public const int MaxHeaderBytes = 100_000_000;

    /// <summary>Most tensors in one file, far more than published checkpoints have in all their files.</summary>
    public const int MaxTensors = 1_000_000;

    /// <summary>Most dimensions of a tensor.</summary>
    public const int MaxRank = 8;

    private const int LengthBytes = sizeof(ulong);

    /// <summary>Reads a file's tensors, in the order of their bytes.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="fileName">Its name, for messages and <see cref="TensorInfo.FileName"/>.</param>
    /// <returns>The tensors, whose regions are parts of <paramref name="file"/>.</returns>
    /// <exception cref="ModelFormatException">The file is damaged, hostile or of another kind.</exception>
    public static IReadOnlyList<StoredTensor> Read(ByteRegion file, string fileName) => Read(file, fileName, out _);

    /// <inheritdoc cref="Read(ByteRegion, string)"/>
    /// <param name="file">The whole file.</param>
    /// <param name="fileName">Its name, for messages and <see cref="TensorInfo.FileName"/>.</param>
    /// <param name="metadata">The header's <c>__metadata__</c>; empty where there is none.</param>
    public static IReadOnlyList<StoredTensor> Read(ByteRegion file, string fileName, out IReadOnlyDictionary<string, string> metadata)
    {
        int headerBytes = HeaderLength(file, fileName);
        long dataStart = LengthBytes + (long)headerBytes;
        ReadOnlySpan<byte> json = file.Bytes(LengthBytes, headerBytes);
        if (!Utf8.IsValid(json))
        {
            throw new ModelFormatException(fileName, $"expected a header of {headerBytes} bytes of UTF-8, found other bytes{FileKinds.Hint(file)}", null);
        }

        List<SafetensorsEntry> entries;
        try
        {
            SafetensorsHeader header = SafetensorsHeader.Parse(json, file.Length - dataStart, fileName);
            entries = header.Entries;
            metadata = header.Metadata;
        }
        catch (Exception e) when (StrictJson.IsBadJson(e))
        {
            throw new ModelFormatException(fileName, $"expected a header of {headerBytes} bytes of JSON, found damaged JSON{FileKinds.Hint(file)}", null, e);
        }

        entries.Sort(static (a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        CheckContiguous(entries, file.Length - dataStart, fileName);
        StoredTensor[] tensors = new StoredTensor[entries.Count];
        for (int i = 0; i < tensors.Length; i++)
        {
            SafetensorsEntry entry = entries[i];
            long bytes = entry.End - entry.Begin;
            tensors[i] = new StoredTensor(new TensorInfo(entry.Name, entry.Type, entry.Shape, bytes, fileName), file.Slice(dataStart + entry.Begin, bytes));
        }

        return tensors;
    }

    private static int HeaderLength(ByteRegion file, string fileName)
    {
        if (file.Length < LengthBytes)
        {
            throw new ModelFormatException(fileName, $"expected at least {LengthBytes} bytes, found {file.Length}{FileKinds.Hint(file)}", null);
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Bytes(0, LengthBytes));
        if (length > MaxHeaderBytes)
        {
            throw new ModelFormatException(
                fileName, $"expected a header of at most {MaxHeaderBytes} bytes, found length {length}{FileKinds.Hint(file)}", null);
        }

        long rest = file.Length - LengthBytes;
        return (long)length <= rest
            ? (int)length
            : throw new ModelFormatException(fileName, $"expected a header of {length} bytes, found {rest}{FileKinds.Hint(file)}", null);
    }

    // Without holes and overlaps no byte of the file is unaccounted for: nothing can hide between tensors or behind them.
    private static void CheckContiguous(List<SafetensorsEntry> sorted, long dataBytes, string fileName)
    {
        long end = 0;
        foreach (SafetensorsEntry entry in sorted)
        {
            if (entry.Begin != end)
            {
                throw new ModelFormatException(
                    fileName, $"expected data_offsets that begin at {end}, found [{entry.Begin}, {entry.End}]: a hole or an overlap", entry.Name);
            }

            end = entry.End;
        }

        if (end != dataBytes)
        {
            throw new ModelFormatException(fileName, $"expected {end} bytes after the header, found {dataBytes}", null);
        }
    }
}
