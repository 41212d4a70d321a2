using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>Key-value pairs for a GGUF file that is written, in the order in which they are added. Source: ggml's docs/gguf.md.</summary>
internal sealed class GgufPairs
{
    // A hundred times what a vocabulary takes.
    private const int MaxArrayBytes = 1 << 28;

    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);

    /// <summary>Number of pairs.</summary>
    public int Count => _keys.Count;

    /// <summary>The pairs as the file has them.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    /// <summary>Adds an integer.</summary>
    public void Add(string key, uint value)
    {
        Key(key, GgufValueType.UInt32);
        UInt32(value);
    }

    /// <summary>Adds a number.</summary>
    public void Add(string key, float value)
    {
        Key(key, GgufValueType.Float32);
        UInt32(BitConverter.SingleToUInt32Bits(value));
    }

    /// <summary>Adds a truth value.</summary>
    public void Add(string key, bool value)
    {
        Key(key, GgufValueType.Bool);
        _bytes.Write([value ? (byte)1 : (byte)0]);
    }

    /// <summary>Adds a string.</summary>
    public void Add(string key, string value)
    {
        Key(key, GgufValueType.String);
        Text(value);
    }

    /// <summary>Adds an array of strings.</summary>
    public void Add(string key, ReadOnlySpan<string> values)
    {
        Array(key, GgufValueType.String, values.Length);
        foreach (string value in values)
        {
            Text(value);
        }
    }

    /// <summary>Adds an array of numbers.</summary>
    /// <param name="key">The key.</param>
    /// <param name="values">f32 <c>[n]</c>.</param>
    public void Add(string key, ReadOnlySpan<float> values)
    {
        Array(key, GgufValueType.Float32, values.Length);
        foreach (float value in values)
        {
            UInt32(BitConverter.SingleToUInt32Bits(value));
        }
    }

    /// <summary>Adds an array of integers.</summary>
    /// <param name="key">The key.</param>
    /// <param name="values">i32 <c>[n]</c>.</param>
    public void Add(string key, ReadOnlySpan<int> values)
    {
        Array(key, GgufValueType.Int32, values.Length);
        foreach (int value in values)
        {
            UInt32(unchecked((uint)value));
        }
    }

    /// <summary>Adds a value as another file has it, in the same type.</summary>
    /// <exception cref="ModelFormatException">It is an array of absurd size.</exception>
    public void Add(string key, GgufValue value)
    {
        switch (value.Type)
        {
            case GgufValueType.String:
                Add(key, value.Text!);
                break;
            case GgufValueType.Array:
                if (value.Elements.Length > MaxArrayBytes)
                {
                    throw new ModelFormatException(
                        $"{ModelFormatException.Quote(key)}: expected an array of at most {MaxArrayBytes} bytes, found {value.Elements.Length}.");
                }

                Array(key, value.ElementType, value.Count);
                _bytes.Write(value.Elements.Bytes(0, (int)value.Elements.Length));
                break;
            default:
                Key(key, value.Type);
                Span<byte> bits = stackalloc byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64LittleEndian(bits, value.Bits);
                _bytes.Write(bits[..GgufCursor.ScalarBytes(value.Type)]);
                break;
        }
    }

    private void Key(string key, GgufValueType type)
    {
        if (!_keys.Add(key))
        {
            throw new ArgumentException($"{ModelFormatException.Quote(key)} is there already.", nameof(key));
        }

        Text(key);
        UInt32((uint)type);
    }

    private void Array(string key, GgufValueType elementType, int count)
    {
        Key(key, GgufValueType.Array);
        UInt32((uint)elementType);
        UInt64((ulong)count);
    }

    private void Text(string text)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        UInt64((ulong)length);
        Encoding.UTF8.GetBytes(text, _bytes.GetSpan(length));
        _bytes.Advance(length);
    }

    private void UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.GetSpan(sizeof(uint)), value);
        _bytes.Advance(sizeof(uint));
    }

    private void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_bytes.GetSpan(sizeof(ulong)), value);
        _bytes.Advance(sizeof(ulong));
    }
}
