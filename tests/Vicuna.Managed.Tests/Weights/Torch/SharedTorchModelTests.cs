using System.Buffers.Binary;
using System.Text.Json;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>A sharded checkpoint on disk against the same model as safetensors.</summary>
public sealed class SharedTorchModelTests
{
    [Fact]
    public void Read_TinyVicunaBin_EqualsItsSafetensors()
    {
        Dictionary<string, (string Type, long[] Shape, byte[] Bytes)> expected = [];
        foreach (string path in Directory.GetFiles(SharedFolder.Require("models/tiny-vicuna-f16-sharded"), "*.safetensors"))
        {
            AddSafetensors(File.ReadAllBytes(path), expected);
        }

        int shards = 0;
        int tensors = 0;
        foreach (string path in Directory.GetFiles(SharedFolder.Require("models/tiny-vicuna-bin"), "*.bin"))
        {
            shards++;
            using MappedFile file = MappedFile.Open(path);
            foreach (StoredTensor tensor in TorchFile.Read(file.Region, Path.GetFileName(path), verifyStorages: true, TestContext.Current.CancellationToken))
            {
                (string type, long[] shape, byte[] bytes) = expected[tensor.Info.Name];
                Assert.Equal(type, tensor.Info.Type.ToString());
                Assert.Equal(shape, tensor.Info.Shape);
                Assert.Equal(Path.GetFileName(path), tensor.Info.FileName);
                Assert.Equal(tensor.Region.Length, tensor.Info.ByteLength);
                Assert.True(bytes.AsSpan().SequenceEqual(tensor.Region.Bytes(0, (int)tensor.Region.Length)), tensor.Info.Name);
                tensors++;
            }
        }

        Assert.Equal(2, shards);
        Assert.Equal(expected.Count, tensors);
    }

    // Eight bytes of header length, a JSON header with each tensor's dtype, shape and data_offsets, then the data.
    private static void AddSafetensors(byte[] file, Dictionary<string, (string Type, long[] Shape, byte[] Bytes)> tensors)
    {
        int headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, headerLength));
        foreach (JsonProperty property in header.RootElement.EnumerateObject().Where(property => property.Name != "__metadata__"))
        {
            int[] offsets = [.. property.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt32())];
            tensors.Add(property.Name, (
                property.Value.GetProperty("dtype").GetString()!,
                [.. property.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())],
                file[(8 + headerLength + offsets[0])..(8 + headerLength + offsets[1])]));
        }
    }
}
