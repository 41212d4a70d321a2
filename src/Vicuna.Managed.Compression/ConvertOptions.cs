using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression;

/// <summary>What a checkpoint is converted to.</summary>
public sealed record ConvertOptions
{
    /// <summary>The container.</summary>
    public required ModelContainer Container { get; init; }

    /// <summary>
    /// How weights are stored: F32, F16 or BF16; in GGUF also Q8_0 or Q4_0. In GGUF, vectors are F32 whatever this says, matrices whose rows are no whole blocks
    /// are F16, and beside Q4_0 the output head, which decides between tokens, is Q8_0.
    /// </summary>
    public required TensorType Type { get; init; }
}
