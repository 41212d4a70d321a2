using System.Buffers.Binary;

namespace Vicuna.Managed.Tokenization;

/// <summary>
/// Reads the fields of one protobuf message in order (protobuf.dev, "Encoding"). Nested messages are read by a reader over their own bytes,
/// so the depth is that of the calling code and not of the file; groups, which could nest without end, are refused.
/// </summary>
internal ref struct ProtobufReader
{
    private const int MaxVarintBytes = 10;

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _file;
    private readonly string _message;
    private readonly int _origin;
    private int _position;
    private int _field;
    private WireType _wireType;

    /// <summary>A reader of <paramref name="bytes"/>, which start at byte <paramref name="origin"/> of the file.</summary>
    public ProtobufReader(ReadOnlySpan<byte> bytes, string file, string message, int origin = 0)
    {
        _bytes = bytes;
        _file = file;
        _message = message;
        _origin = origin;
    }

    private enum WireType
    {
        Varint = 0,
        Fixed64 = 1,
        Bytes = 2,
        Fixed32 = 5,
    }

    /// <summary>Number of the field that <see cref="NextField"/> moved to.</summary>
    public readonly int Field => _field;

    /// <summary>Position in the file, in bytes, of the next byte to be read.</summary>
    public readonly int Offset => _origin + _position;

    /// <summary>Moves to the next field, or returns false at the end. Its value must then be read or skipped.</summary>
    public bool NextField()
    {
        if (_position == _bytes.Length)
        {
            return false;
        }

        ulong tag = ReadRawVarint();
        if (tag > uint.MaxValue || tag >> 3 == 0)
        {
            throw Error($"expected a field tag, found {tag}");
        }

        _field = (int)(tag >> 3);
        _wireType = (WireType)(tag & 7);
        return _wireType is WireType.Varint or WireType.Fixed64 or WireType.Bytes or WireType.Fixed32
            ? true
            : throw Error($"field {_field}: expected wire type 0, 1, 2 or 5, found {(int)_wireType}");
    }

    /// <summary>The current field as an int32: a varint, negative values extended to 64 bits.</summary>
    public int ReadInt32()
    {
        long value = (long)ReadVarint();
        return value is >= int.MinValue and <= int.MaxValue ? (int)value : throw Error($"field {_field}: expected a 32-bit number, found {value}");
    }

    /// <summary>The current field as a bool.</summary>
    public bool ReadBool() => ReadVarint() != 0;

    /// <summary>The current field as a float.</summary>
    public float ReadFloat()
    {
        Expect(WireType.Fixed32);
        return BinaryPrimitives.ReadSingleLittleEndian(Take(sizeof(float)));
    }

    /// <summary>The current field as bytes: a string, a byte string or a nested message.</summary>
    public ReadOnlySpan<byte> ReadBytes()
    {
        Expect(WireType.Bytes);
        return TakeLengthPrefixed();
    }

    /// <summary>Passes over the current field.</summary>
    public void Skip()
    {
        switch (_wireType)
        {
            case WireType.Varint:
                ReadRawVarint();
                break;
            case WireType.Fixed64:
                Take(sizeof(ulong));
                break;
            case WireType.Bytes:
                TakeLengthPrefixed();
                break;
            default:
                Take(sizeof(uint));
                break;
        }
    }

    private readonly void Expect(WireType expected)
    {
        if (_wireType != expected)
        {
            throw Error($"field {_field}: expected wire type {(int)expected}, found {(int)_wireType}");
        }
    }

    private ulong ReadVarint()
    {
        Expect(WireType.Varint);
        return ReadRawVarint();
    }

    private ulong ReadRawVarint()
    {
        ulong value = 0;
        for (int i = 0; i < MaxVarintBytes; i++)
        {
            if (_position == _bytes.Length)
            {
                throw Error("expected the rest of a number, found the end");
            }

            byte next = _bytes[_position++];
            value |= (ulong)(next & 0x7f) << (7 * i);
            if (next < 0x80)
            {
                // The tenth byte carries bit 63 alone.
                return i < MaxVarintBytes - 1 || next <= 1 ? value : throw Error("expected a 64-bit number, found more bits");
            }
        }

        throw Error($"expected a number of at most {MaxVarintBytes} bytes, found more");
    }

    private ReadOnlySpan<byte> TakeLengthPrefixed()
    {
        ulong length = ReadRawVarint();
        return length <= (ulong)(_bytes.Length - _position)
            ? Take((int)length)
            : throw Error($"field {_field}: expected at most {_bytes.Length - _position} bytes, found a length of {length}");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _bytes.Length - _position)
        {
            throw Error($"field {_field}: expected {count} bytes, found {_bytes.Length - _position}");
        }

        ReadOnlySpan<byte> taken = _bytes.Slice(_position, count);
        _position += count;
        return taken;
    }

    private readonly ModelFormatException Error(string problem) => new(_file, $"at byte {Offset}: {problem}", _message);
}
