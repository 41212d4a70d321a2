using System.Collections.Immutable;

namespace Vicuna.Managed.Weights;

/// <summary>What a checkpoint says of one tensor.</summary>
/// <param name="Name">Its name in Hugging Face's scheme, for example <c>model.layers.0.self_attn.q_proj.weight</c> (GGUF's names are translated).</param>
/// <param name="Type">How its elements are stored.</param>
/// <param name="Shape">Its dimensions, <c>[rows, cols]</c> for a matrix, last axis fastest. GGUF's order is reversed to this one.</param>
/// <param name="ByteLength">Bytes that it takes in its file.</param>
/// <param name="FileName">The file that holds it, without its folder.</param>
public sealed record TensorInfo(string Name, TensorType Type, ImmutableArray<long> Shape, long ByteLength, string FileName)
{
    /// <summary>Number of elements: the product of <see cref="Shape"/>.</summary>
    public long ElementCount => TensorTypes.ElementCount(Shape.AsSpan());

    /// <summary>The shape as text, for example <c>[4096, 11008]</c>.</summary>
    internal string ShapeText => $"[{string.Join(", ", Shape)}]";
}
