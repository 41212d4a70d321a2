using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// Writes a GGUF file of version 3 from front to back in little memory: header, pairs, table of tensors, data, each tensor padded to the alignment.
/// The file is there when it is whole, see <see cref="StagedFile"/>. Source of the layout: ggml's docs/gguf.md.
/// </summary>
internal sealed class GgufWriter : ITensorWriter, IDisposable
{
    /// <summary>What offsets are multiples of where <c>general.alignment</c> says nothing else.</summary>
    public const int DefaultAlignment = 32;

    private const uint Magic = 0x46554747; // "GGUF"
    private const uint Version = 3;
    private const int MaxDimensions = 4;
    private const int MaxNameBytes = 64;

    private readonly StagedFile _file;
    private readonly int _alignment;
    private int _current;
    private long _written;
    private bool _done;

    private GgufWriter(StagedFile file, IReadOnlyList<TensorInfo> order, int alignment)
    {
        _file = file;
        _alignment = alignment;
        Order = order;
    }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Order { get; }

    /// <summary>Begins a file and writes everything but the data.</summary>
    /// <param name="path">The file's final path; no file is replaced.</param>
    /// <param name="pairs">The metadata.</param>
    /// <param name="tensors">Names as GGUF has them, types and shapes <c>[rows, cols]</c>, in the order of the file.</param>
    /// <param name="alignment">What the pairs say of the alignment, in bytes.</param>
    /// <exception cref="ArgumentException">
    /// <see cref="GgufFile"/> would not read the file: a name stands twice or is too long, a type is not GGUF's, a row ends inside a block.
    /// </exception>
    /// <exception cref="IOException">The file exists or cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static GgufWriter Create(string path, GgufPairs pairs, IReadOnlyList<(string Name, TensorType Type, long[] Shape)> tensors, int alignment = DefaultAlignment)
    {
        ArrayBufferWriter<byte> header = new();
        UInt32(header, Magic);
        UInt32(header, Version);
        UInt64(header, (ulong)tensors.Count);
        UInt64(header, (ulong)pairs.Count);
        header.Write(pairs.Bytes);
        TensorInfo[] order = Table(header, tensors, Path.GetFileName(path), alignment);
        GgufWriter writer = new(StagedFile.Create(path, overwrite: false), order, alignment);
        try
        {
            writer._file.Stream.Write(header.WrittenSpan);
            writer.Pad();
            writer.SkipFinished();
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_done, this);
        long left = _current < Order.Count ? Order[_current].ByteLength - _written : 0;
        if (bytes.Length > left)
        {
            throw new ArgumentException($"Expected at most {left} more bytes of a tensor, found {bytes.Length}.", nameof(bytes));
        }

        _file.Stream.Write(bytes);
        _written += bytes.Length;
        SkipFinished();
    }

    /// <summary>Gives the file its name, after its bytes have reached the disk.</summary>
    /// <exception cref="InvalidOperationException">Bytes are missing.</exception>
    /// <exception cref="IOException">The disk is full, or a file of the name has appeared.</exception>
    /// <exception cref="ObjectDisposedException">The writer has been committed or disposed.</exception>
    public void Commit()
    {
        ObjectDisposedException.ThrowIf(_done, this);
        if (_current < Order.Count)
        {
            throw new InvalidOperationException($"Expected {Order[_current].ByteLength} bytes of {ModelFormatException.Quote(Order[_current].Name)}, found {_written}.");
        }

        _file.Commit();
        _done = true;
    }

    /// <summary>Deletes what has been written, unless it has been committed.</summary>
    public void Dispose()
    {
        _done = true;
        _file.Dispose();
    }

    private static TensorInfo[] Table(
        ArrayBufferWriter<byte> header, IReadOnlyList<(string Name, TensorType Type, long[] Shape)> tensors, string fileName, int alignment)
    {
        TensorInfo[] order = new TensorInfo[tensors.Count];
        HashSet<string> names = new(StringComparer.Ordinal);
        long offset = 0;
        for (int i = 0; i < order.Length; i++)
        {
            (string name, TensorType type, long[] shape) = tensors[i];
            byte[] utf8 = Encoding.UTF8.GetBytes(name);
            if (utf8.Length is 0 or > MaxNameBytes || !names.Add(name) || shape.Length is 0 or > MaxDimensions
                || GgufTensorTypes.NumberOf(type) is not { } number || shape[^1] % type.BlockElements() != 0)
            {
                throw new ArgumentException(
                    $"{ModelFormatException.Quote(name)}: {type} [{string.Join(", ", shape)}] cannot be stored as GGUF, or stands twice in the list.", nameof(tensors));
            }

            long bytes = checked(TensorTypes.ElementCount(shape) / type.BlockElements() * type.BlockBytes());
            order[i] = new TensorInfo(name, type, [.. shape], bytes, fileName);
            UInt64(header, (ulong)utf8.Length);
            header.Write(utf8);
            UInt32(header, (uint)shape.Length);
            foreach (long dimension in shape.Reverse())
            {
                UInt64(header, (ulong)dimension);
            }

            UInt32(header, number);
            UInt64(header, (ulong)offset);
            offset = checked(offset + bytes + alignment - 1) / alignment * alignment;
        }

        return order;
    }

    private static void UInt32(ArrayBufferWriter<byte> to, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to.GetSpan(sizeof(uint)), value);
        to.Advance(sizeof(uint));
    }

    private static void UInt64(ArrayBufferWriter<byte> to, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to.GetSpan(sizeof(ulong)), value);
        to.Advance(sizeof(ulong));
    }

    private void SkipFinished()
    {
        while (_current < Order.Count && _written == Order[_current].ByteLength)
        {
            Pad();
            _current++;
            _written = 0;
        }
    }

    private void Pad()
    {
        int padding = (int)((_alignment - (_file.Stream.Position % _alignment)) % _alignment);
        for (int i = 0; i < padding; i++)
        {
            _file.Stream.WriteByte(0);
        }
    }
}
