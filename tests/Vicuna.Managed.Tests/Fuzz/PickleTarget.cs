using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Tests.Weights.Torch;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>The pickle of a PyTorch checkpoint without its archive, which would refuse most mutations by its checksum.</summary>
internal static class PickleTarget
{
    public static string Name => "torch-pickle";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        PickleWriter.Reference,
        PickleWriter.StateDict(new TensorSpec("a", [2, 2]), new TensorSpec("b", [2]) { Offset = 2, IsParameter = true }),
        PickleWriter.StateDict(new TensorSpec("a", [1L << 32, 1L << 32]) { Count = 1L << 40 }),
        Convert.FromHexString("80025D71006800612E"),
        new PickleWriter().Global("os", "system").Text("id").Raw(0x85).Ops("R.").ToArray(),
        new PickleWriter().Ops("](NG").Raw(new byte[8]).Ops("e((((ttt").Raw(0x8A, 3, 1, 2, 3, 0x87).Ops("a.").ToArray(),
    ];

    public static void Run(byte[] input)
    {
        try
        {
            TorchReading.Use(new byte[8], region =>
            {
                Dictionary<string, ByteRegion> records = new() { ["0"] = region };
                foreach (StoredTensor tensor in TorchStateDict.Resolve(TorchUnpickler.Read(input, "fuzz.bin"), records, "fuzz.bin"))
                {
                    TorchFileTarget.Consistent(tensor);
                }

                return true;
            });
        }
        catch (ModelFormatException)
        {
        }
    }
}
