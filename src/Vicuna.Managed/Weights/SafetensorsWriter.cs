using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;

namespace Vicuna.Managed.Weights;

/// <summary>
/// Writes a safetensors file from front to back in little memory. The file is there when it is whole, see <see cref="StagedFile"/>.
/// </summary>
/// <remarks>
/// The bytes are those of the Rust writer: tensors by descending type (its <c>Dtype</c> order, which <see cref="TensorType"/> follows), then by
/// name as UTF-8; header padded with spaces to a multiple of 8. So every tensor is aligned to its element. Metadata, whose order is random
/// there, is sorted by key.
/// </remarks>
internal sealed class SafetensorsWriter : ITensorWriter, IDisposable
{
    // Half a surrogate pair in a name is refused (ArgumentException), not replaced: the name would not be found again.
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly StagedFile _file;
    private int _current;
    private long _written;
    private bool _done;

    private SafetensorsWriter(StagedFile file, IReadOnlyList<TensorInfo> order)
    {
        _file = file;
        Order = order;
        SkipFinished();
    }

    /// <summary>The tensors in the order in which <see cref="Write"/> expects their bytes.</summary>
    public IReadOnlyList<TensorInfo> Order { get; }

    /// <summary>The tensor that the next byte belongs to; null after the last. Tensors without bytes are passed over.</summary>
    public TensorInfo? Current => _current < Order.Count ? Order[_current] : null;

    /// <summary>Begins a file and writes its header.</summary>
    /// <param name="path">The file's final path.</param>
    /// <param name="tensors">Names, types and shapes <c>[rows, cols]</c>, in any order.</param>
    /// <param name="metadata">The <c>__metadata__</c> map; null leaves it out.</param>
    /// <param name="overwrite">Whether <see cref="Commit"/> replaces a file of this name.</param>
    /// <exception cref="ArgumentException">
    /// <see cref="SafetensorsFile"/> would not read the file: a name stands twice, a type is GGUF's, a tensor ends inside a byte.
    /// </exception>
    /// <exception cref="IOException">The file exists and may not be overwritten, or cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static SafetensorsWriter Create(
        string path,
        IReadOnlyList<(string Name, TensorType Type, long[] Shape)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        bool overwrite = false)
    {
        TensorInfo[] order = Sort(tensors, Path.GetFileName(path));
        byte[] header = Header(order, metadata);
        SafetensorsWriter writer = new(StagedFile.Create(path, overwrite), order);
        try
        {
            Span<byte> length = stackalloc byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            writer._file.Stream.Write(length);
            writer._file.Stream.Write(header);
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>Writes the next bytes of <see cref="Current"/>; all of it or a part.</summary>
    /// <param name="bytes">Little-endian, row-major.</param>
    /// <exception cref="ArgumentException">There are more bytes than the tensor has left.</exception>
    /// <exception cref="IOException">The disk is full or gone.</exception>
    /// <exception cref="ObjectDisposedException">The writer has been committed or disposed.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_done, this);
        long left = (Current?.ByteLength ?? 0) - _written;
        if (bytes.Length > left)
        {
            string tensor = Current is null ? "the file" : ModelFormatException.Quote(Current.Name);
            throw new ArgumentException($"Expected at most {left} more bytes of {tensor}, found {bytes.Length}.", nameof(bytes));
        }

        _file.Stream.Write(bytes);
        _written += bytes.Length;
        SkipFinished();
    }

    /// <summary>Gives the file its name, after its bytes have reached the disk.</summary>
    /// <exception cref="InvalidOperationException">Bytes are missing.</exception>
    /// <exception cref="IOException">
    /// The disk is full, or a file of the name has appeared that may not be overwritten (on Windows also: one that is mapped).
    /// </exception>
    /// <exception cref="ObjectDisposedException">The writer has been committed or disposed.</exception>
    public void Commit()
    {
        ObjectDisposedException.ThrowIf(_done, this);
        if (Current is TensorInfo current)
        {
            throw new InvalidOperationException($"Expected {current.ByteLength} bytes of {ModelFormatException.Quote(current.Name)}, found {_written}.");
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

    private static TensorInfo[] Sort(IReadOnlyList<(string Name, TensorType Type, long[] Shape)> tensors, string fileName)
    {
        if (tensors.Count > SafetensorsFile.MaxTensors)
        {
            throw new ArgumentException($"Expected at most {SafetensorsFile.MaxTensors} tensors, found {tensors.Count}.", nameof(tensors));
        }

        HashSet<string> names = ["__metadata__"];
        List<(byte[] Utf8, TensorInfo Info)> rows = [];
        foreach ((string name, TensorType type, long[] shape) in tensors)
        {
            string shown = ModelFormatException.Quote(name);
            if (!names.Add(name))
            {
                throw new ArgumentException($"{shown} is reserved, or stands twice in the list.", nameof(tensors));
            }

            if (SafetensorsTypes.NameOf(type) is null || shape.Length > SafetensorsFile.MaxRank || shape.Any(dimension => dimension < 0))
            {
                throw new ArgumentException($"{shown}: {type} [{string.Join(", ", shape)}] cannot be stored as safetensors.", nameof(tensors));
            }

            rows.Add((StrictUtf8.GetBytes(name), new TensorInfo(name, type, [.. shape], ByteLength(shown, type, shape), fileName)));
        }

        rows.Sort(static (a, b) => a.Info.Type != b.Info.Type ? b.Info.Type.CompareTo(a.Info.Type) : a.Utf8.AsSpan().SequenceCompareTo(b.Utf8));
        return [.. rows.Select(row => row.Info)];
    }

    private static long ByteLength(string shown, TensorType type, long[] shape)
    {
        try
        {
            return SafetensorsTypes.ByteLength(type, shape)
                ?? throw new ArgumentException($"{shown}: the shape [{string.Join(", ", shape)}] of {type} ends inside a byte.", nameof(shape));
        }
        catch (OverflowException e)
        {
            throw new ArgumentException($"{shown}: the shape [{string.Join(", ", shape)}] is too large.", nameof(shape), e);
        }
    }

    private static byte[] Header(TensorInfo[] order, IReadOnlyDictionary<string, string>? metadata)
    {
        StringBuilder json = new("{");
        if (metadata is not null)
        {
            json.Append("\"__metadata__\":{");
            foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                Quote(Quote(json, key).Append(':'), value).Append(',');
            }

            json.Length -= metadata.Count > 0 ? 1 : 0;
            json.Append("},");
        }

        long offset = 0;
        foreach (TensorInfo tensor in order)
        {
            long end = tensor.ByteLength <= long.MaxValue - offset ? offset + tensor.ByteLength
                : throw new ArgumentException("The tensors take 2^63 bytes or more.", nameof(order));
            Quote(json, tensor.Name)
                .Append($":{{\"dtype\":\"{SafetensorsTypes.NameOf(tensor.Type)}\",\"shape\":[{string.Join(',', tensor.Shape)}],")
                .Append($"\"data_offsets\":[{offset},{end}]}},");
            offset = end;
        }

        json.Length -= json[^1] == ',' ? 1 : 0;
        byte[] text = StrictUtf8.GetBytes(json.Append('}').ToString());
        int padded = checked((text.Length + 7) & ~7);
        if (padded > SafetensorsFile.MaxHeaderBytes)
        {
            throw new ArgumentException($"Expected a header of at most {SafetensorsFile.MaxHeaderBytes} bytes, found {padded}.", nameof(order));
        }

        byte[] header = new byte[padded];
        header.AsSpan().Fill((byte)' ');
        text.CopyTo(header, 0);
        return header;
    }

    // The escapes of Rust's serde_json, which are the fewest that JSON allows.
    private static StringBuilder Quote(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' or '\\' => json.Append('\\').Append(c),
                '\b' => json.Append("\\b"),
                '\t' => json.Append("\\t"),
                '\n' => json.Append("\\n"),
                '\f' => json.Append("\\f"),
                '\r' => json.Append("\\r"),
                < ' ' => json.Append($"\\u{(int)c:x4}"),
                _ => json.Append(c),
            };
        }

        return json.Append('"');
    }

    private void SkipFinished()
    {
        while (Current is TensorInfo current && _written == current.ByteLength)
        {
            _current++;
            _written = 0;
        }
    }
}
