using System.Collections.Immutable;
using System.Text.Json;

namespace Vicuna.Managed.Weights;

/// <summary>
/// Parses the JSON of a safetensors header and checks each tensor in itself: type, shape, size and range. See <see cref="SafetensorsFile"/>
/// for the rules. One pass, no recursion; memory is bounded by the header's size and by the caps on entries.
/// </summary>
internal ref struct SafetensorsHeader
{
    private const int MaxMetadata = 100_000;

    // Root, tensor, shape: 3. The rest is for fields of later versions, which are passed over.
    private const int MaxDepth = 8;

    private readonly string _file;
    private readonly long _dataBytes;
    private readonly HashSet<string> _names = [];
    private Utf8JsonReader _json;
    private long _usedBytes;

    private SafetensorsHeader(ReadOnlySpan<byte> header, long dataBytes, string fileName)
    {
        _json = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = MaxDepth });
        _dataBytes = dataBytes;
        _file = fileName;
    }

    /// <summary>The tensors, in the header's order.</summary>
    public List<SafetensorsEntry> Entries { get; } = [];

    /// <summary>The <c>__metadata__</c> map; empty where there is none.</summary>
    public Dictionary<string, string> Metadata { get; } = [];

    /// <summary>Parses a header.</summary>
    /// <param name="header">Its bytes, without the length before them; valid UTF-8.</param>
    /// <param name="dataBytes">Bytes that follow it in the file.</param>
    /// <param name="fileName">The file's name for messages.</param>
    /// <exception cref="ModelFormatException">The header breaks a rule.</exception>
    /// <exception cref="JsonException">The header is not JSON (see <see cref="StrictJson.IsBadJson"/>).</exception>
    /// <exception cref="InvalidOperationException">A string holds half a surrogate pair.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> header, long dataBytes, string fileName)
    {
        SafetensorsHeader parser = new(header, dataBytes, fileName);
        parser.ParseRoot();
        return parser;
    }

    private void ParseRoot()
    {
        Expect(JsonTokenType.StartObject, null, "the header");
        bool hasMetadata = false;
        while (NextProperty())
        {
            if (_json.ValueTextEquals("__metadata__"u8))
            {
                Once(ref hasMetadata, null, "__metadata__");
                ParseMetadata();
                continue;
            }

            string name = _json.GetString()!;
            if (Entries.Count == SafetensorsFile.MaxTensors)
            {
                throw Bad(null, $"expected at most {SafetensorsFile.MaxTensors} tensors, found more");
            }

            if (!_names.Add(name))
            {
                throw Bad(name, "expected each tensor once, found the name twice");
            }

            ParseTensor(name);
        }

        // The reader itself refuses anything but white space here.
        _json.Read();
    }

    private void ParseMetadata()
    {
        _json.Read();
        if (_json.TokenType is JsonTokenType.Null)
        {
            return;
        }

        Check(JsonTokenType.StartObject, null, "__metadata__");
        while (NextProperty())
        {
            string key = _json.GetString()!;
            Expect(JsonTokenType.String, key, "a value of __metadata__");
            if (Metadata.Count == MaxMetadata)
            {
                throw Bad(null, $"expected at most {MaxMetadata} entries in __metadata__, found more");
            }

            if (!Metadata.TryAdd(key, _json.GetString()!))
            {
                throw Bad(key, "expected each key of __metadata__ once, found it twice");
            }
        }
    }

    private void ParseTensor(string name)
    {
        Expect(JsonTokenType.StartObject, name, "the tensor's description");
        bool hasType = false, hasShape = false, hasOffsets = false;
        TensorType type = default;
        ImmutableArray<long> shape = [];
        (ulong begin, ulong end) = (0, 0);
        while (NextProperty())
        {
            if (_json.ValueTextEquals("dtype"u8))
            {
                Once(ref hasType, name, "dtype");
                type = ParseType(name);
            }
            else if (_json.ValueTextEquals("shape"u8))
            {
                Once(ref hasShape, name, "shape");
                shape = ParseShape(name);
            }
            else if (_json.ValueTextEquals("data_offsets"u8))
            {
                Once(ref hasOffsets, name, "data_offsets");
                Expect(JsonTokenType.StartArray, name, "data_offsets");
                begin = ParseNumber(name, "data_offsets");
                end = ParseNumber(name, "data_offsets");
                Expect(JsonTokenType.EndArray, name, "the end of two data_offsets");
            }
            else
            {
                StrictJson.Skip(ref _json);
            }
        }

        if (!hasType || !hasShape || !hasOffsets)
        {
            throw Bad(name, $"expected dtype, shape and data_offsets, found no {(hasType ? hasShape ? "data_offsets" : "shape" : "dtype")}");
        }

        CheckRange(name, ByteLength(name, type, shape), begin, end);
        Entries.Add(new SafetensorsEntry(name, type, shape, (long)begin, (long)end));
    }

    private TensorType ParseType(string name)
    {
        Expect(JsonTokenType.String, name, "dtype");
        return SafetensorsTypes.TryParse(ref _json, out TensorType type)
            ? type
            : throw Bad(name, $"expected a known dtype, found {ModelFormatException.Quote(_json.GetString()!)}");
    }

    private ImmutableArray<long> ParseShape(string name)
    {
        Expect(JsonTokenType.StartArray, name, "shape");
        Span<long> dimensions = stackalloc long[SafetensorsFile.MaxRank];
        int rank = 0;
        while (_json.Read() && _json.TokenType is not JsonTokenType.EndArray)
        {
            if (rank == SafetensorsFile.MaxRank)
            {
                throw Bad(name, $"expected at most {SafetensorsFile.MaxRank} dimensions, found more");
            }

            ulong dimension = Number(name, "shape");
            dimensions[rank++] = dimension <= long.MaxValue ? (long)dimension : throw Bad(name, $"expected dimensions below 2^63, found {dimension}");
        }

        return ImmutableArray.Create<long>(dimensions[..rank]);
    }

    private readonly long ByteLength(string name, TensorType type, ImmutableArray<long> shape)
    {
        try
        {
            return SafetensorsTypes.ByteLength(type, shape.AsSpan())
                ?? throw Bad(name, $"expected whole bytes, found shape [{string.Join(", ", shape)}] of {type}, which ends inside a byte");
        }
        catch (OverflowException e)
        {
            throw Bad(name, $"expected fewer than 2^63 elements and bytes, found shape [{string.Join(", ", shape)}] of {type}", e);
        }
    }

    private void CheckRange(string name, long bytes, ulong begin, ulong end)
    {
        if (end < begin || end - begin != (ulong)bytes)
        {
            throw Bad(name, $"expected {bytes} bytes for its shape and dtype, found data_offsets [{begin}, {end}]");
        }

        if (end > (ulong)_dataBytes)
        {
            throw Bad(name, $"expected data up to byte {end}, found {_dataBytes} bytes after the header (an incomplete download?)");
        }

        // Ends a flood of overlapping tensors at the first one that is too many, long before all of them are collected and sorted.
        if (bytes > _dataBytes - _usedBytes)
        {
            throw Bad(name, $"expected tensors that do not overlap, found {_usedBytes} + {bytes} bytes of tensors in {_dataBytes} bytes of data");
        }

        _usedBytes += bytes;
    }

    private ulong ParseNumber(string name, string what)
    {
        _json.Read();
        return Number(name, what);
    }

    // Only plain non-negative integers parse: -0, 1.0 and 1e1 do not.
    private ulong Number(string name, string what)
    {
        Check(JsonTokenType.Number, name, what);
        return _json.TryGetUInt64(out ulong value)
            ? value
            : throw Bad(name, $"expected whole numbers of 0 to 2^64 - 1 in {what}, found {Shown(_json.ValueSpan)}");
    }

    private bool NextProperty()
    {
        _json.Read();
        return _json.TokenType is JsonTokenType.PropertyName;
    }

    private void Expect(JsonTokenType token, string? item, string what)
    {
        _json.Read();
        Check(token, item, what);
    }

    private readonly void Check(JsonTokenType token, string? item, string what)
    {
        if (_json.TokenType != token)
        {
            throw Bad(item, $"expected {token} for {what}, found {_json.TokenType}");
        }
    }

    private readonly void Once(ref bool seen, string? item, string field)
    {
        if (seen)
        {
            throw Bad(item, $"expected {field} once, found it twice");
        }

        seen = true;
    }

    private static string Shown(ReadOnlySpan<byte> number) => System.Text.Encoding.ASCII.GetString(number[..Math.Min(number.Length, 40)]);

    private readonly ModelFormatException Bad(string? item, string problem, Exception? cause = null) => new(_file, problem, item, cause);
}
