using System.Collections.Immutable;

namespace Vicuna.Managed.Weights.Torch;

/// <summary>A tensor as a pickle states it: any integers; not compared with its storage yet.</summary>
/// <param name="Storage">What it views.</param>
/// <param name="Offset">Its first element in the storage.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Strides">Elements from one index to the next, for each dimension.</param>
internal sealed record TorchTensor(TorchStorage Storage, long Offset, ImmutableArray<long> Shape, ImmutableArray<long> Strides);
