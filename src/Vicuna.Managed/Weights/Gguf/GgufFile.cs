using System.Buffers.Binary;
using System.Numerics;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// A GGUF file of version 2 or 3: magic, version, number of tensors, number of metadata pairs, the pairs, the table of tensors, padding, data.
/// The two versions have one layout; 3 added files of the other byte order, which are refused. Source: ggml's docs/gguf.md.
/// </summary>
/// <remarks>
/// Nothing is copied but names and scalar metadata: memory beside the mapped file is in proportion to the number of pairs and tensors, both
/// capped. Time is linear in the header (a sort of the tensors aside); the tensors' own bytes are not read.
/// </remarks>
internal sealed class GgufFile
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const uint OldestVersion = 2;
    private const uint NewestVersion = 3;
    private const int DefaultAlignment = 32;
    private const int MaxAlignment = 1 << 20;
    private const int MaxTensors = 1 << 16;
    private const int MaxPairs = 1 << 16;

    private GgufFile(int version, GgufMetadata metadata, StoredTensor[] tensors)
    {
        Version = version;
        Metadata = metadata;
        Tensors = tensors;
    }

    /// <summary>The format's version, 2 or 3.</summary>
    public int Version { get; }

    /// <summary>The key-value pairs.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>
    /// The tensors in the file's order, named and shaped as in Hugging Face's files. Of the architecture <c>llama</c>, the rows of Q and K are in
    /// the order that <see cref="GgufRowOrder"/> describes.
    /// </summary>
    public IReadOnlyList<StoredTensor> Tensors { get; }

    /// <summary>Reads the header of a GGUF file and locates its tensors.</summary>
    /// <param name="file">The whole file; it must stay alive while tensors and arrays of the metadata are used.</param>
    /// <param name="fileName">The file's name without its folder.</param>
    /// <exception cref="ModelFormatException">
    /// The file is damaged, of another version or byte order, one part of several, or holds a tensor type that is not supported.
    /// </exception>
    public static GgufFile Read(ByteRegion file, string fileName)
    {
        GgufCursor cursor = new(file, fileName);
        uint magic = cursor.ReadUInt32("magic");
        if (magic != Magic)
        {
            throw cursor.Error("magic", $"expected 0x{Magic:x8} (GGUF), found 0x{magic:x8}");
        }

        uint version = cursor.ReadUInt32("version");
        if (version is < OldestVersion or > NewestVersion)
        {
            throw cursor.Error("version", BinaryPrimitives.ReverseEndianness(version) is > 0 and <= ushort.MaxValue
                ? $"expected a little-endian file, found a big-endian one of version {BinaryPrimitives.ReverseEndianness(version)}"
                : $"expected {OldestVersion} or {NewestVersion}, found {version}");
        }

        int tensorCount = cursor.ReadCount("number of tensors", MaxTensors, GgufTensorTable.MinimumBytes);
        int pairCount = cursor.ReadCount("number of metadata pairs", MaxPairs, GgufMetadata.MinimumBytes);
        GgufMetadata metadata = GgufMetadata.Read(cursor, pairCount, fileName);
        if (metadata.TryGetUInt("split.count", out uint parts) && parts > 1)
        {
            throw cursor.Error("split.count", $"expected a whole model in one file, found one of {parts} parts; join them first (llama-gguf-split --merge)");
        }

        metadata.TryGetString("general.architecture", out string architecture);
        StoredTensor[] tensors = GgufTensorTable.Read(cursor, tensorCount, file, ReadAlignment(cursor, metadata), architecture, fileName);
        return new GgufFile((int)version, metadata, tensors);
    }

    private static int ReadAlignment(GgufCursor cursor, GgufMetadata metadata)
    {
        const string key = "general.alignment";
        if (!metadata.TryGetValue(key, out GgufValue value))
        {
            return DefaultAlignment;
        }

        // The one value that the format itself depends on: its type is fixed, so that every reader finds the data at the same place.
        if (value.Type != GgufValueType.UInt32)
        {
            throw cursor.Error(key, $"expected a value of type {GgufValueType.UInt32}, found {value.TypeText}");
        }

        return BitOperations.IsPow2(value.Bits) && value.Bits <= MaxAlignment
            ? (int)value.Bits
            : throw cursor.Error(key, $"expected a power of two up to {MaxAlignment}, found {value.Bits}");
    }
}
