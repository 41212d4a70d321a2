using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Models;

/// <summary>The factors of one projection as a pass uses them. Their memory is freed when nobody holds them any more.</summary>
/// <param name="Down">A, f32 <c>[r, in]</c>.</param>
/// <param name="Up">B, its rows in the order of the model's, packed by <see cref="Kernels.Ops.LowRank"/>: f32 <c>[out / 16, r, 16]</c>.</param>
/// <param name="Rows">Rows of B.</param>
internal sealed record AdapterPair(WeightMatrix Down, AlignedBuffer Up, int Rows)
{
    /// <summary>r.</summary>
    public int Rank => Down.Rows;
}
