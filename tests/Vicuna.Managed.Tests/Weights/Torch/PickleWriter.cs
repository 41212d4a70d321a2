using System.Buffers.Binary;
using System.Text;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>Writes pickles of protocol 2 instruction by instruction, well-formed or not.</summary>
internal sealed class PickleWriter
{
    /// <summary>
    /// Made with Python's own pickler: an OrderedDict with `_metadata` and one f16 tensor `w` of [2, 2] in storage 0.
    /// </summary>
    public static readonly byte[] Reference = Convert.FromHexString(
        "800263636f6c6c656374696f6e730a4f726465726564446963740a710029527101580100000077710263746f7263682e5f7574696c730a5f"
        + "72656275696c645f74656e736f725f76320a71032828580700000073746f72616765710463746f7263680a48616c6653746f726167650a71"
        + "055801000000307106580300000063707571074b04747108514b004b024b028671094b024b0186710a8968002952710b74710c52710d737d"
        + "710e58090000005f6d65746164617461710f680029527110580000000071117d7112580700000076657273696f6e71134b01737373622e");

    private readonly List<byte> _output = [];

    public PickleWriter() => Raw(0x80, 2);

    /// <summary>A plain dict of tensors.</summary>
    public static byte[] StateDict(params TensorSpec[] tensors)
    {
        PickleWriter writer = new PickleWriter().Ops("}(");
        foreach (TensorSpec tensor in tensors)
        {
            writer.Text(tensor.Name).Tensor(tensor);
        }

        return writer.Ops("u.").ToArray();
    }

    public byte[] ToArray() => [.. _output];

    public PickleWriter Raw(params byte[] bytes)
    {
        _output.AddRange(bytes);
        return this;
    }

    /// <summary>Instructions without operands whose codes are ASCII.</summary>
    public PickleWriter Ops(string codes) => Raw(Encoding.ASCII.GetBytes(codes));

    public PickleWriter Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        return Ops("X").Raw(length).Raw(bytes);
    }

    public PickleWriter Global(string module, string name) => Ops($"c{module}\n{name}\n");

    public PickleWriter Integer(long value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return value switch
        {
            >= 0 and <= byte.MaxValue => Ops("K").Raw(bytes[..1]),
            >= 0 and <= ushort.MaxValue => Ops("M").Raw(bytes[..2]),
            >= int.MinValue and <= int.MaxValue => Ops("J").Raw(bytes[..4]),
            _ => Raw(0x8A, 8).Raw(bytes),
        };
    }

    public PickleWriter Integers(IReadOnlyList<long> values)
    {
        Ops("(");
        foreach (long value in values)
        {
            Integer(value);
        }

        return Ops("t");
    }

    public PickleWriter Storage(string type, string key, long count) =>
        Ops("(").Text("storage").Global("torch", type).Text(key).Text("cpu").Integer(count).Ops("tQ");

    public PickleWriter Tensor(TensorSpec tensor)
    {
        if (tensor.IsParameter)
        {
            Global("torch._utils", "_rebuild_parameter").Ops("(");
        }

        Global("torch._utils", "_rebuild_tensor_v2").Ops("(").Storage(tensor.StorageType, tensor.Key, tensor.Count)
            .Integer(tensor.Offset).Integers(tensor.Shape).Integers(tensor.Strides ?? RowMajor(tensor.Shape))
            .Raw(0x89).EmptyOrderedDict().Ops("tR");
        return tensor.IsParameter ? Raw(0x88).EmptyOrderedDict().Ops("tR") : this;
    }

    public PickleWriter EmptyOrderedDict() => Global("collections", "OrderedDict").Ops(")R");

    private static long[] RowMajor(long[] shape)
    {
        long[] strides = new long[shape.Length];
        long stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride = unchecked(stride * shape[i]);
        }

        return strides;
    }
}
