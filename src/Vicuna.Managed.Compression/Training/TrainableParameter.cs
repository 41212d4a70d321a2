using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Training;

/// <summary>An array that training changes, with the gradient that was summed up for it. f32, row-major.</summary>
/// <param name="name">Its name in files.</param>
/// <param name="shape">Its shape: <c>[rows, cols]</c>, or <c>[length]</c>.</param>
internal sealed class TrainableParameter(string name, params long[] shape) : IDisposable
{
    /// <summary>Its name in files.</summary>
    public string Name { get; } = name;

    /// <summary>Its shape: <c>[rows, cols]</c>, or <c>[length]</c>.</summary>
    public IReadOnlyList<long> Shape { get; } = shape;

    /// <summary>Number of elements; less than 2^31 / 4, so that one span holds them.</summary>
    public int Length { get; } = checked((int)shape.Aggregate(1L, (product, size) => checked(product * size)));

    /// <summary>The numbers, f32 <c>[Length]</c>.</summary>
    public AlignedBuffer Value { get; } = AlignedBuffer.AllocateFloats(shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>The sum of gradients since it was last set to zero, f32 <c>[Length]</c>.</summary>
    public AlignedBuffer Gradient { get; } = AlignedBuffer.AllocateFloats(shape.Aggregate(1L, (product, size) => product * size));

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        Value.Dispose();
        Gradient.Dispose();
    }
}
