using Vicuna.Managed.Compression.Training;
using Vicuna.Managed.Kernels.Formats;
using Vicuna.Managed.Kernels.Isa;
using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>The trainable factors of one projection, also as matrices that products read.</summary>
internal sealed class LoraFactors : IDisposable
{
    /// <summary>Allocates zeros.</summary>
    /// <param name="name">The projection's path: <c>model.layers.0.self_attn.q_proj</c>.</param>
    /// <param name="rank">r.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="tier">Instruction set.</param>
    public LoraFactors(string name, int rank, int rows, int columns, IsaTier tier)
    {
        A = new TrainableParameter($"base_model.model.{name}.lora_A.weight", rank, columns);
        B = new TrainableParameter($"base_model.model.{name}.lora_B.weight", rows, rank);
        MatrixA = Open(A, rank, columns, tier);
        MatrixB = Open(B, rows, rank, tier);
    }

    /// <summary><c>[r, in]</c>.</summary>
    public TrainableParameter A { get; }

    /// <summary><c>[out, r]</c>.</summary>
    public TrainableParameter B { get; }

    /// <summary>A over its live numbers.</summary>
    public WeightMatrix MatrixA { get; }

    /// <summary>B over its live numbers.</summary>
    public WeightMatrix MatrixB { get; }

    /// <summary>A parameter as a matrix over its live numbers.</summary>
    public static WeightMatrix Open(TrainableParameter parameter, int rows, int columns, IsaTier tier) =>
        WeightFormats.Find("f32")!.Open(new ByteRegion(parameter.Value, 0, parameter.Value.Length), rows, columns, tier);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
    }
}
