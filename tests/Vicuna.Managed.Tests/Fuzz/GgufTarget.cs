using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tests.Weights.Gguf;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Gguf;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads a GGUF file, its metadata as more than one type, and both ends of every tensor.</summary>
public static class GgufTarget
{
    public static string Name => "gguf";

    // All but the file whose key is too long, which takes 64 KB. Good files as often as bad ones, because only what starts out good gets deep.
    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. Enum.GetValues<GgufDefect>().Except([GgufDefect.KeyTooLong]).Select(defect => GgufBuilder.Create(defect, version: 2 + ((uint)defect % 2)).Build()),
        .. Enumerable.Range(0, 50).Select(i => GgufBuilder.Create(version: 2 + ((uint)i % 2)).Build()),
    ];

    public static void Run(byte[] input)
    {
        using AlignedBuffer memory = Regions.Copy(input);
        GgufFile file = GgufFile.Read(memory.Region, "fuzz.gguf");
        foreach (StoredTensor tensor in file.Tensors)
        {
            Assert.Equal(tensor.Info.ByteLength, tensor.Region.Length);
            Assert.Equal(tensor.Info.ByteLength, tensor.Info.ElementCount / tensor.Info.Type.BlockElements() * tensor.Info.Type.BlockBytes());
            _ = tensor.Region.Length > 0 ? tensor.Region.Bytes(0, 1)[0] + tensor.Region.Bytes(tensor.Region.Length - 1, 1)[0] : 0;
        }

        foreach (string key in file.Metadata.Keys)
        {
            if (file.Metadata.TryGetValue(key, out GgufValue value) && value.Type == GgufValueType.Array)
            {
                Try(() => file.Metadata.TryGetStrings(key, out _));
                Try(() => file.Metadata.TryGetFloats(key, out _));
                Try(() => file.Metadata.TryGetInts(key, out _));
            }
            else
            {
                Try(() => file.Metadata.TryGetInt(key, out _));
                Try(() => file.Metadata.TryGetFloat(key, out _));
            }
        }
    }

    // A key is of one type: calls for another refuse it, and must not end the run.
    private static void Try(Action read)
    {
        try
        {
            read();
        }
        catch (ModelFormatException)
        {
        }
    }
}
