using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Weights;

/// <summary>A tensor and where its bytes lie: the common outcome of reading any container. The bytes are little-endian, row-major, of any alignment.</summary>
/// <param name="Info">Name, type and shape; <see cref="TensorInfo.ByteLength"/> equals the region's length.</param>
/// <param name="Region">The tensor's bytes in the mapped file.</param>
internal sealed record StoredTensor(TensorInfo Info, ByteRegion Region);
