using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights.Gguf;

/// <summary>One metadata value. Scalars and strings are decoded; an array stays in the file until it is asked for (a vocabulary has 10^5 strings).</summary>
internal readonly struct GgufValue
{
    /// <summary>Creates a number or truth value.</summary>
    public GgufValue(GgufValueType type, ulong bits)
    {
        Type = type;
        Bits = bits;
    }

    /// <summary>Creates a string.</summary>
    public GgufValue(string text)
    {
        Type = GgufValueType.String;
        Text = text;
    }

    /// <summary>Creates an array.</summary>
    public GgufValue(GgufValueType elementType, int count, ByteRegion elements)
    {
        Type = GgufValueType.Array;
        ElementType = elementType;
        Count = count;
        Elements = elements;
    }

    /// <summary>The value's type.</summary>
    public GgufValueType Type { get; }

    /// <summary>A scalar's bits: integers extended to 64 bits (by sign where signed), floats as they are stored, in the lower bits.</summary>
    public ulong Bits { get; }

    /// <summary>A string's text, else null.</summary>
    public string? Text { get; }

    /// <summary>An array's element type; never <see cref="GgufValueType.Array"/>.</summary>
    public GgufValueType ElementType { get; }

    /// <summary>An array's number of elements.</summary>
    public int Count { get; }

    /// <summary>An array's elements as stored.</summary>
    public ByteRegion Elements { get; }

    /// <summary>The type in words, for messages.</summary>
    public string TypeText => Type == GgufValueType.Array ? $"an array of {Count} {ElementType}" : $"a value of type {Type}";
}
