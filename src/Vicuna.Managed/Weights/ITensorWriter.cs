namespace Vicuna.Managed.Weights;

/// <summary>A file of tensors that is written from front to back.</summary>
internal interface ITensorWriter
{
    /// <summary>The tensors in the order in which <see cref="Write"/> expects their bytes.</summary>
    IReadOnlyList<TensorInfo> Order { get; }

    /// <summary>Writes the next bytes: all of a tensor or a part of it.</summary>
    /// <param name="bytes">Little-endian, row-major.</param>
    /// <exception cref="ArgumentException">There are more bytes than the tensor has left.</exception>
    /// <exception cref="IOException">The disk is full or gone.</exception>
    void Write(ReadOnlySpan<byte> bytes);
}
