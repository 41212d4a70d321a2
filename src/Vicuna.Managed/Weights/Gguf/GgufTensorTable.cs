using System.Collections.Immutable;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// The table of tensors in a GGUF file: for each a name (64-bit length, UTF-8), a 32-bit number of dimensions, the 64-bit dimensions with the
/// fastest first, a 32-bit type and a 64-bit offset into the data that follows the table. Source: ggml's docs/gguf.md.
/// </summary>
internal static class GgufTensorTable
{
    /// <summary>Least bytes of an entry (a name of one byte, one dimension): what a count of tensors is checked against.</summary>
    public const int MinimumBytes = 8 + 1 + 4 + 8 + 4 + 8;

    // ggml's GGML_MAX_DIMS, and the limit that docs/gguf.md sets for a name.
    private const int MaxDimensions = 4;
    private const int MaxNameBytes = 64;

    /// <summary>Reads <paramref name="count"/> entries and finds their bytes.</summary>
    /// <param name="cursor">Stands at the first entry.</param>
    /// <param name="count">Number of entries.</param>
    /// <param name="file">The whole file.</param>
    /// <param name="alignment">What offsets are multiples of, in bytes: a power of two.</param>
    /// <param name="architecture">Whose names are translated, see <see cref="GgufTensorNames"/>.</param>
    /// <param name="fileName">The file's name.</param>
    /// <exception cref="ModelFormatException">An entry is damaged or not supported, comes twice, or its bytes lie outside the file or in another's.</exception>
    public static StoredTensor[] Read(GgufCursor cursor, int count, ByteRegion file, int alignment, string architecture, string fileName)
    {
        Entry[] entries = new Entry[count];
        HashSet<string> names = new(count, StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            entries[i] = ReadEntry(cursor, alignment, architecture, fileName);

            // Translation is a function, so names that come twice in the file also come twice here; so do two names for one tensor.
            if (!names.Add(entries[i].Info.Name))
            {
                throw cursor.Error(entries[i].StoredName, $"the tensor {ModelFormatException.Quote(entries[i].Info.Name)} comes twice");
            }
        }

        // A file without data may end before the padding that would precede the data.
        long dataStart = Math.Min((cursor.Position + alignment - 1) / alignment * alignment, file.Length);
        ByteRegion data = file.Slice(dataStart, file.Length - dataStart);
        foreach (Entry entry in entries)
        {
            if (entry.Offset > data.Length - entry.Info.ByteLength)
            {
                throw cursor.Error(entry.StoredName, $"expected {entry.Info.ByteLength} bytes at offset {entry.Offset} of the data, which has {data.Length}");
            }
        }

        CheckOverlap(cursor, entries);
        return Array.ConvertAll(entries, entry => new StoredTensor(entry.Info, data.Slice(entry.Offset, entry.Info.ByteLength)));
    }

    private static Entry ReadEntry(GgufCursor cursor, int alignment, string architecture, string fileName)
    {
        string name = cursor.ReadString("tensor name", 1, MaxNameBytes);
        uint dimensions = cursor.ReadUInt32(name);
        if (dimensions is 0 or > MaxDimensions)
        {
            throw cursor.Error(name, $"expected 1 to {MaxDimensions} dimensions, found {dimensions}");
        }

        long[] shape = new long[dimensions];
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            ulong dimension = cursor.ReadUInt64(name);
            shape[i] = dimension <= long.MaxValue ? (long)dimension : throw cursor.Error(name, $"expected dimensions below 2^63, found {dimension}");
        }

        uint number = cursor.ReadUInt32(name);
        if (!GgufTensorTypes.TryGet(number, out TensorType type))
        {
            throw cursor.Error(name, $"the tensor type {GgufTensorTypes.Describe(number)} is not supported");
        }

        long byteLength = ByteLength(cursor, name, type, shape);
        ulong offset = cursor.ReadUInt64(name);
        if (offset > long.MaxValue || offset % (ulong)alignment != 0)
        {
            throw cursor.Error(name, $"expected an offset that is a multiple of {alignment} below 2^63, found {offset}");
        }

        string translated = GgufTensorNames.Translate(architecture, name);
        return new Entry(name, new TensorInfo(translated, type, ImmutableArray.Create(shape), byteLength, fileName), (long)offset);
    }

    private static long ByteLength(GgufCursor cursor, string name, TensorType type, long[] shape)
    {
        if (shape[^1] % type.BlockElements() != 0)
        {
            throw cursor.Error(name, $"expected rows of a multiple of {type.BlockElements()} elements for {type}, found {shape[^1]}");
        }

        try
        {
            // A dimension of 0 must not hide others whose product overflows, in whatever order somebody multiplies them later.
            long elements = 1;
            foreach (long dimension in shape)
            {
                elements = checked(elements * Math.Max(dimension, 1));
            }

            long byteLength = checked(elements / type.BlockElements() * type.BlockBytes());
            return shape.Contains(0) ? 0 : byteLength;
        }
        catch (OverflowException)
        {
            throw cursor.Error(name, $"the shape [{string.Join(", ", shape)}] of {type} has more than 2^63 elements or bytes");
        }
    }

    private static void CheckOverlap(GgufCursor cursor, Entry[] entries)
    {
        Entry[] stored = Array.FindAll(entries, entry => entry.Info.ByteLength > 0);
        Array.Sort(stored, (a, b) => a.Offset.CompareTo(b.Offset));
        for (int i = 1; i < stored.Length; i++)
        {
            Entry before = stored[i - 1];
            if (stored[i].Offset < before.Offset + before.Info.ByteLength)
            {
                string other = ModelFormatException.Quote(before.StoredName);
                long otherEnd = before.Offset + before.Info.ByteLength;
                throw cursor.Error(stored[i].StoredName, $"starts at offset {stored[i].Offset}, within {other} that ends at {otherEnd}");
            }
        }
    }

    private readonly record struct Entry(string StoredName, TensorInfo Info, long Offset);
}
