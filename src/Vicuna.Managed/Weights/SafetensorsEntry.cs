using System.Collections.Immutable;

namespace Vicuna.Managed.Weights;

/// <summary>One tensor of a safetensors header, checked in itself but not against its neighbors.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Begin">First byte, counted from the end of the header.</param>
/// <param name="End">The byte after its last; at least <paramref name="Begin"/>, at most the number of data bytes.</param>
internal readonly record struct SafetensorsEntry(string Name, TensorType Type, ImmutableArray<long> Shape, long Begin, long End);
