using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Models;

/// <summary>One of the products of an input.</summary>
/// <param name="Matrix">W, <c>[rows, cols]</c>.</param>
/// <param name="Bias">f32 <c>[rows]</c>, or empty.</param>
/// <param name="Output">f32 <c>[T, rows]</c>.</param>
/// <param name="Adapted">Which matrix of a block it is, for adapters; null where they have no part in it.</param>
internal readonly record struct Projection(WeightMatrix Matrix, float[] Bias, AlignedBuffer Output, BlockMatrix? Adapted = null);
