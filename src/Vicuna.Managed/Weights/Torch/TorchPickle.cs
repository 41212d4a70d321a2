namespace Vicuna.Managed.Weights.Torch;

/// <summary>What the pickle of a state dict says.</summary>
/// <param name="Tensors">Its tensors in the order of the dict; the names differ.</param>
/// <param name="Storages">All storages that it names, by key, whether a tensor uses them or not.</param>
internal sealed record TorchPickle(IReadOnlyList<KeyValuePair<string, TorchTensor>> Tensors, IReadOnlyDictionary<string, TorchStorage> Storages);
