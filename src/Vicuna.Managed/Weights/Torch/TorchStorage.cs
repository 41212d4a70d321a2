namespace Vicuna.Managed.Weights.Torch;

/// <summary>A piece of a checkpoint's data that one or more tensors view, as its pickle states it; not compared with the archive yet.</summary>
/// <param name="Key">Decimal digits: its bytes are the record <c>data/[key]</c>.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Count">Their number, at least 0.</param>
internal sealed record TorchStorage(string Key, TensorType Type, long Count);
