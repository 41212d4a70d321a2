using System.Text;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;
using static Vicuna.Managed.Tests.Weights.SafetensorsBytes;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Fuzzes <see cref="SafetensorsFile"/>.</summary>
public static class SafetensorsTarget
{
    public static string Name => "safetensors";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        File($"{{\"__metadata__\":{{\"format\":\"pt\"}},{Tensor("a.weight", "F16", "[2,4]", 0, 16)},{Tensor("b", "F32", "[]", 16, 20)}}}   ", 20),
        File("{" + Tensor("a", "F4", "[4]", 0, 2) + "," + Tensor("\\u00e9\\ud83e\\udd99", "F6_E2M3", "[0,3]", 2, 2) + "}", 2),
        File("{\"a\":{\"x\":[{\"y\":\"\\n\"}],\"dtype\":\"I64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8),
        File("{" + Tensor("a", "U8", "[18446744073709551615,2]", 0, 9223372036854775807) + "}", 2),
        File("{}      "),
        File("{\"\\ud800\":{}}"),
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, (byte)'{'],
        Encoding.ASCII.GetBytes("version https://git-lfs.github.com/spec/v1\n"),
        [],
    ];

    public static void Run(byte[] input)
    {
        using AlignedBuffer block = Block(input);
        try
        {
            long end = -1;
            foreach (StoredTensor tensor in SafetensorsFile.Read(block.Region, "fuzz"))
            {
                // A region outside the file would have thrown; the sizes must agree, and add up to the rest of the file.
                Assert.Equal(tensor.Info.ByteLength, tensor.Region.Length);
                Assert.Equal(tensor.Info.ElementCount / tensor.Info.Type.BlockElements() * tensor.Info.Type.BlockBytes(), tensor.Info.ByteLength);
                end = Math.Max(end, 0) + tensor.Region.Length;
            }

            Assert.True(end < 0 || end + 8 + BitConverter.ToInt64(input) == input.Length, "bytes are unaccounted for");
        }
        catch (ModelFormatException)
        {
        }
    }
}
