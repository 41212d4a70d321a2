using Vicuna.Managed.Weights;

namespace Vicuna.Managed.Checkpoints;

/// <summary>One file of weights that is to be written.</summary>
/// <param name="FileName">Its name in the folder.</param>
/// <param name="Tensors">Names, types and shapes <c>[rows, cols]</c> of its tensors, in the model's order.</param>
internal sealed record WeightShard(string FileName, IReadOnlyList<(string Name, TensorType Type, long[] Shape)> Tensors);
