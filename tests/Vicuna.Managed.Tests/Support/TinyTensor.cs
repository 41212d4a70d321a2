using System.Runtime.InteropServices;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Support;

/// <summary>A tensor of a <see cref="TinyModel"/>: values that its storage type holds exactly.</summary>
internal sealed record TinyTensor(TensorType Type, long[] Shape, float[] Values)
{
    public static TinyTensor Rounded(TensorType type, long[] shape, IEnumerable<double> values) =>
        new(type, shape, [.. values.Select(value => Round(type, (float)value))]);

    /// <summary>The stored bytes; types that no model computes with are all zeros.</summary>
    public byte[] Bytes() => Type switch
    {
        TensorType.F32 => MemoryMarshal.AsBytes(Values.AsSpan()).ToArray(),
        TensorType.F16 => MemoryMarshal.AsBytes(Values.Select(value => (Half)value).ToArray().AsSpan()).ToArray(),
        TensorType.BF16 => MemoryMarshal.AsBytes(Values.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)).ToArray().AsSpan()).ToArray(),
        TensorType.I8 => new byte[Values.Length],
        TensorType.F64 => new byte[8 * Values.Length],
        _ => throw new NotSupportedException(Type.ToString()),
    };

    // bfloat16 by cutting: the values are random anyway.
    private static float Round(TensorType type, float value) => type switch
    {
        TensorType.F16 => (float)(Half)value,
        TensorType.BF16 => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000),
        _ => value,
    };
}
