using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>
/// The key-value pairs of a GGUF file, with access by type. Writers differ in the width that they give a number, so any width will do
/// whose value fits; a value of another kind is an error that names the key. Arrays are decoded anew at each call, from the mapped file.
/// </summary>
internal sealed class GgufMetadata
{
    /// <summary>Least bytes of a pair (a key's length and one byte, a type, a value of one byte): what a count of pairs is checked against.</summary>
    public const int MinimumBytes = 8 + 1 + 4 + 1;

    private const int MaxKeyBytes = 65_535;
    private const int MaxStringBytes = 1 << 24;

    // Of all keys and scalar strings together, which are decoded at once: 64 MB of memory, whatever the file's size.
    private const int MaxCharacters = 1 << 25;
    private const int MaxArrayElements = 1 << 21;

    private readonly Dictionary<string, GgufValue> _values;
    private readonly string _fileName;

    private GgufMetadata(Dictionary<string, GgufValue> values, string fileName)
    {
        _values = values;
        _fileName = fileName;
    }

    /// <summary>Every key.</summary>
    public IReadOnlyCollection<string> Keys => _values.Keys;

    /// <summary>Reads <paramref name="count"/> pairs.</summary>
    /// <exception cref="ModelFormatException">A pair is damaged, a key comes twice, or a length is beyond what this reader takes.</exception>
    public static GgufMetadata Read(GgufCursor cursor, int count, string fileName)
    {
        Dictionary<string, GgufValue> values = new(count, StringComparer.Ordinal);
        long characters = 0;
        for (int i = 0; i < count; i++)
        {
            string key = cursor.ReadString("metadata key", 1, MaxKeyBytes);
            GgufValue value = ReadValue(cursor, key);
            if (!values.TryAdd(key, value))
            {
                throw cursor.Error(key, "the key comes twice");
            }

            characters += key.Length + (value.Text?.Length ?? 0);
            if (characters > MaxCharacters)
            {
                throw cursor.Error(key, $"expected keys and strings of at most {MaxCharacters} characters in total, found more");
            }
        }

        return new GgufMetadata(values, fileName);
    }

    /// <summary>Finds a value of any type.</summary>
    public bool TryGetValue(string key, out GgufValue value) => _values.TryGetValue(key, out value);

    /// <summary>Finds an integer of 0 to 2^31 - 1: a count or an id.</summary>
    /// <exception cref="ModelFormatException">The value is not an integer or out of range.</exception>
    public bool TryGetInt(string key, out int value)
    {
        bool found = TryGetInteger(key, int.MaxValue, out Int128 integer);
        value = (int)integer;
        return found;
    }

    /// <summary>Finds an integer of 0 to 2^32 - 1.</summary>
    /// <exception cref="ModelFormatException">The value is not an integer or out of range.</exception>
    public bool TryGetUInt(string key, out uint value)
    {
        bool found = TryGetInteger(key, uint.MaxValue, out Int128 integer);
        value = (uint)integer;
        return found;
    }

    /// <summary>Finds a finite number; integers count too.</summary>
    /// <exception cref="ModelFormatException">The value is not a number, or not finite as an f32.</exception>
    public bool TryGetFloat(string key, out float value)
    {
        value = 0;
        if (!_values.TryGetValue(key, out GgufValue stored))
        {
            return false;
        }

        value = IsFloat(stored.Type) ? Float(stored.Type, stored.Bits)
            : IsInteger(stored.Type) ? (float)Integer(stored.Type, stored.Bits)
            : throw WrongType(key, "a number", stored);
        return float.IsFinite(value) ? true : throw Error(key, $"expected a finite number within the range of an f32, found {value}");
    }

    /// <summary>Finds a truth value.</summary>
    /// <exception cref="ModelFormatException">The value is of another type.</exception>
    public bool TryGetBool(string key, out bool value)
    {
        bool found = _values.TryGetValue(key, out GgufValue stored);
        value = stored.Bits != 0;
        return !found || stored.Type == GgufValueType.Bool ? found : throw WrongType(key, "a truth value", stored);
    }

    /// <summary>Finds a string.</summary>
    /// <exception cref="ModelFormatException">The value is of another type.</exception>
    public bool TryGetString(string key, out string value)
    {
        bool found = _values.TryGetValue(key, out GgufValue stored);
        value = stored.Text ?? string.Empty;
        return !found || stored.Type == GgufValueType.String ? found : throw WrongType(key, "a string", stored);
    }

    /// <summary>Finds an array of strings.</summary>
    /// <exception cref="ModelFormatException">The value is not an array, or one of another element type.</exception>
    public bool TryGetStrings(string key, out string[] values) =>
        TryGetArray(
            key,
            "an array of strings",
            static type => type == GgufValueType.String,
            static (cursor, _, key) => cursor.ReadString(key, 0, MaxStringBytes),
            out values);

    /// <summary>Finds an array of floats, of f32 or f64. The elements may be infinite or NaN.</summary>
    /// <exception cref="ModelFormatException">The value is not an array, or one of another element type.</exception>
    public bool TryGetFloats(string key, out float[] values) =>
        TryGetArray(key, "an array of floats", IsFloat, static (cursor, type, key) => Float(type, cursor.ReadScalar(type, key)), out values);

    /// <summary>Finds an array of integers, each within the range of an i32.</summary>
    /// <exception cref="ModelFormatException">The value is not an array, one of another element type, or an element is out of range.</exception>
    public bool TryGetInts(string key, out int[] values) =>
        TryGetArray(
            key,
            "an array of integers",
            IsInteger,
            static (cursor, type, key) =>
            {
                Int128 integer = Integer(type, cursor.ReadScalar(type, key));
                return integer >= int.MinValue && integer <= int.MaxValue
                    ? (int)integer
                    : throw cursor.Error(key, $"expected elements within the range of an i32, found {integer}");
            },
            out values);

    private static GgufValue ReadValue(GgufCursor cursor, string key)
    {
        GgufValueType type = ReadType(cursor, key);
        return type switch
        {
            GgufValueType.String => new GgufValue(cursor.ReadString(key, 0, MaxStringBytes)),
            GgufValueType.Array => ReadArray(cursor, key),
            _ => new GgufValue(type, cursor.ReadScalar(type, key)),
        };
    }

    private static GgufValue ReadArray(GgufCursor cursor, string key)
    {
        GgufValueType type = ReadType(cursor, key);
        if (type == GgufValueType.Array)
        {
            throw cursor.Error(key, "arrays of arrays are not supported");
        }

        if (type != GgufValueType.String)
        {
            int size = GgufCursor.ScalarBytes(type);
            int elements = cursor.ReadCount(key, MaxArrayElements, size);
            return new GgufValue(type, elements, cursor.TakeRegion(key, (long)elements * size));
        }

        int count = cursor.ReadCount(key, MaxArrayElements, sizeof(ulong));
        long start = cursor.Position;
        for (int i = 0; i < count; i++)
        {
            cursor.SkipString(key, MaxStringBytes);
        }

        return new GgufValue(type, count, cursor.RegionFrom(start));
    }

    private static GgufValueType ReadType(GgufCursor cursor, string key)
    {
        uint type = cursor.ReadUInt32(key);
        return type <= (uint)GgufValueType.Float64
            ? (GgufValueType)type
            : throw cursor.Error(key, $"expected a value type of 0 to {(int)GgufValueType.Float64}, found {type}");
    }

    private static bool IsFloat(GgufValueType type) => type is GgufValueType.Float32 or GgufValueType.Float64;

    private static bool IsInteger(GgufValueType type) => !IsFloat(type) && type is not (GgufValueType.Bool or GgufValueType.String or GgufValueType.Array);

    private static float Float(GgufValueType type, ulong bits) =>
        type == GgufValueType.Float32 ? BitConverter.UInt32BitsToSingle((uint)bits) : (float)BitConverter.UInt64BitsToDouble(bits);

    private static Int128 Integer(GgufValueType type, ulong bits) =>
        type is GgufValueType.Int8 or GgufValueType.Int16 or GgufValueType.Int32 or GgufValueType.Int64 ? (long)bits : bits;

    private bool TryGetInteger(string key, uint maximum, out Int128 value)
    {
        value = 0;
        if (!_values.TryGetValue(key, out GgufValue stored))
        {
            return false;
        }

        value = IsInteger(stored.Type) ? Integer(stored.Type, stored.Bits) : throw WrongType(key, "an integer", stored);
        return value >= 0 && value <= maximum ? true : throw Error(key, $"expected an integer of 0 to {maximum}, found {value}");
    }

    private bool TryGetArray<T>(string key, string expected, Predicate<GgufValueType> accepts, Func<GgufCursor, GgufValueType, string, T> read, out T[] values)
    {
        values = [];
        if (!_values.TryGetValue(key, out GgufValue stored))
        {
            return false;
        }

        if (stored.Type != GgufValueType.Array || !accepts(stored.ElementType))
        {
            throw WrongType(key, expected, stored);
        }

        GgufCursor cursor = new(stored.Elements, _fileName);
        values = new T[stored.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = read(cursor, stored.ElementType, key);
        }

        return true;
    }

    private ModelFormatException WrongType(string key, string expected, GgufValue found) => Error(key, $"expected {expected}, found {found.TypeText}");

    private ModelFormatException Error(string key, string problem) => new(_fileName, problem, key);
}
