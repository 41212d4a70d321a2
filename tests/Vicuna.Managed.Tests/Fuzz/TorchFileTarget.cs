using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Weights.Torch;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Whole PyTorch checkpoints.</summary>
internal static class TorchFileTarget
{
    public static string Name => "torch-file";

    public static IReadOnlyList<byte[]> Seeds()
    {
        TorchFileBuilder compressed = TorchFileBuilder.Valid();
        compressed["data/0"].Method = 8;
        TorchFileBuilder plain = TorchFileBuilder.Valid();
        plain.HasZip64Record = plain.HasZip64Locator = false;
        TorchFileBuilder zip64 = TorchFileBuilder.Valid();
        zip64["data/0"].Size = uint.MaxValue;
        zip64["data/0"].CentralExtra = TorchFileBuilder.Zip64Extra(8, 8);
        byte[] two = PickleWriter.StateDict(
            new TensorSpec("a", [2, 2]), new TensorSpec("b", [2]) { Key = "1", StorageType = "FloatStorage", Count = 2, IsParameter = true });
        return
        [
            TorchFileBuilder.Valid().Build(), plain.Build(), zip64.Build(), compressed.Build(),
            TorchFileBuilder.Of(two, ("0", new byte[8]), ("1", new byte[8])).Build(),
            Convert.FromHexString("80028A0A6CFC9C46F9206AA850192E"),
        ];
    }

    public static void Run(byte[] input)
    {
        try
        {
            TorchReading.Use(input, region =>
            {
                foreach (StoredTensor tensor in TorchFile.Read(region, "fuzz.bin"))
                {
                    Consistent(tensor);
                }

                return true;
            });
        }
        catch (ModelFormatException)
        {
        }
    }

    /// <summary>Touches what a reader promises of every tensor.</summary>
    public static void Consistent(StoredTensor tensor)
    {
        ByteRegion region = tensor.Region;
        Assert.Equal(tensor.Info.ByteLength, region.Length);
        Assert.Equal(region.Length, tensor.Info.ElementCount * tensor.Info.Type.BlockBytes());
        Assert.Equal(region.Length, region.Bytes(0, (int)region.Length).Length);
    }
}
