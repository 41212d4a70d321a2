using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Weights;
using Vicuna.Managed.Weights.Torch;

namespace Vicuna.Managed.Tests.Weights.Torch;

/// <summary>Reads checkpoints from arrays: tensors with copies of their bytes.</summary>
internal static class TorchReading
{
    public const string FileName = "test.bin";

    public static List<(TensorInfo Info, byte[] Bytes)> Read(byte[] bytes, bool verifyStorages = false) =>
        Use(bytes, region => TorchFile.Read(region, FileName, verifyStorages, TestContext.Current.CancellationToken)
            .Select(tensor => (tensor.Info, tensor.Region.Bytes(0, (int)tensor.Region.Length).ToArray())).ToList());

    /// <summary>What a reader says against the bytes; fails where it accepts them or throws anything else.</summary>
    public static string Refusal(byte[] bytes, bool verifyStorages = false) => Check(Assert.Throws<ModelFormatException>(() => Read(bytes, verifyStorages)));

    public static string PickleRefusal(byte[] pickle) => Check(Assert.Throws<ModelFormatException>(() => TorchUnpickler.Read(pickle, FileName)));

    public static T Use<T>(byte[] bytes, Func<ByteRegion, T> use)
    {
        using AlignedBuffer buffer = AlignedBuffer.Allocate(bytes.Length);
        bytes.CopyTo(buffer.Writable(0, bytes.Length));
        return use(buffer.Region);
    }

    private static string Check(ModelFormatException exception)
    {
        Assert.StartsWith(FileName + ": ", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
        return exception.Message;
    }
}
