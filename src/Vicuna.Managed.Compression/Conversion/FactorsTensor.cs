using System.Runtime.InteropServices;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;
using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>
/// The divisors of the rotary frequencies that a GGUF file holds as a tensor where a config.json has Llama 3's <c>rope_scaling</c>. Source: llama.cpp's
/// convert_hf_to_gguf.py, <c>generate_extra_tensors</c>.
/// </summary>
internal sealed class FactorsTensor : IDisposable
{
    private readonly AlignedBuffer _memory;

    private FactorsTensor(string name, float[] factors)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(factors.AsSpan());
        _memory = AlignedBuffer.Allocate(bytes.Length, hugePages: false);
        bytes.CopyTo(_memory.Writable(0, bytes.Length));
        Tensor = new StoredTensor(new TensorInfo(name, TensorType.F32, [factors.Length], bytes.Length, "config.json"), new ByteRegion(_memory, 0, bytes.Length));
    }

    /// <summary>The tensor, f32 <c>[dh/2]</c>.</summary>
    public StoredTensor Tensor { get; }

    /// <summary>Makes the tensor; null where the model needs none.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="name">The tensor's name.</param>
    public static FactorsTensor? Of(ModelConfig config, string name)
    {
        if (config.RopeScaling is not { Kind: RopeScalingKind.Llama3 })
        {
            return null;
        }

        double[] plain = RopeFrequencies.Compute(config with { RopeScaling = null });
        double[] stretched = RopeFrequencies.Compute(config);
        return new FactorsTensor(name, [.. plain.Zip(stretched, (a, b) => (float)(a / b))]);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _memory.Dispose();
}
