using System.Buffers.Binary;
using System.Text;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Tests.Weights;

/// <summary>Builds safetensors files byte by byte, the wrong ones too.</summary>
internal static class SafetensorsBytes
{
    /// <summary>Length, header, data: the data's byte number i has value i.</summary>
    public static byte[] File(string header, int dataBytes = 0) => File(Encoding.UTF8.GetBytes(header), dataBytes);

    public static byte[] File(byte[] header, int dataBytes = 0)
    {
        byte[] file = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(file, (ulong)header.Length);
        header.CopyTo(file, 8);
        for (int i = 0; i < dataBytes; i++)
        {
            file[8 + header.Length + i] = (byte)i;
        }

        return file;
    }

    /// <summary>One tensor's name and description, for example <c>"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}</c>.</summary>
    public static string Tensor(string name, string type, string shape, ulong begin, ulong end) =>
        $"\"{name}\":{{\"dtype\":\"{type}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}";

    public static AlignedBuffer Block(ReadOnlySpan<byte> file)
    {
        AlignedBuffer block = AlignedBuffer.Allocate(file.Length);
        file.CopyTo(block.Writable(0, file.Length));
        return block;
    }

    /// <summary>Reads a file and copies out what was read.</summary>
    public static Dictionary<string, (TensorInfo Info, byte[] Bytes)> Read(ReadOnlySpan<byte> file)
    {
        using AlignedBuffer block = Block(file);
        return SafetensorsFile.Read(block.Region, "x.safetensors")
            .ToDictionary(t => t.Info.Name, t => (t.Info, t.Region.Bytes(0, (int)t.Region.Length).ToArray()));
    }

    public static ModelFormatException Refused(ReadOnlySpan<byte> file)
    {
        using AlignedBuffer block = Block(file);
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Read(block.Region, "x.safetensors"));
        Assert.StartsWith("x.safetensors: ", e.Message);
        Assert.DoesNotContain('\n', e.Message);
        return e;
    }
}
