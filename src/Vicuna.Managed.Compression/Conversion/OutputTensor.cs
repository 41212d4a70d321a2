using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Compression.Conversion;

/// <summary>A tensor that is to be written.</summary>
/// <param name="Name">Its name in the new file.</param>
/// <param name="Type">Its type there.</param>
/// <param name="Source">Where its values come from; the shape is that of the new tensor.</param>
/// <param name="RowOrder">The source's row that stands at a row of the new tensor; null where the order stays.</param>
/// <param name="Change">Changes a row of the given number before it is stored, f32 <c>[cols]</c>, on any thread; null where the values stay.</param>
internal sealed record OutputTensor(string Name, TensorType Type, StoredTensor Source, Func<int, int>? RowOrder = null, Action<int, float[]>? Change = null)
{
    /// <summary>What writers ask for.</summary>
    public (string Name, TensorType Type, long[] Shape) Spec => (Name, Type, [.. Source.Info.Shape]);
}
