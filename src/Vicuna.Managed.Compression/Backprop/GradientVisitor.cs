using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// What is done with a model's gradient as the backward pass comes by: scores are summed, parameters get their gradients, adapters take part in the
/// forward pass too. The base class does nothing.
/// </summary>
internal class GradientVisitor
{
    /// <summary>Called after a projection, in the forward pass and when a block is computed again.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="projection">Which projection; never the head.</param>
    /// <param name="x">Its input, f32 <c>[tokens, in]</c>.</param>
    /// <param name="y">Its output, f32 <c>[tokens, out]</c>; may be changed.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public virtual void Project(int layer, Projection projection, AlignedBuffer x, AlignedBuffer y, int tokens, CancellationToken cancellationToken)
    {
    }

    /// <summary>Called when a projection's output has its gradient.</summary>
    /// <param name="layer">Block number, from 0; the number of blocks for the head.</param>
    /// <param name="projection">Which projection.</param>
    /// <param name="matrix">Its weights, <c>[out, in]</c>.</param>
    /// <param name="x">Its input, f32 <c>[tokens, in]</c>.</param>
    /// <param name="outputGradient">f32 <c>[tokens, out]</c>.</param>
    /// <param name="inputGradient">f32 <c>[tokens, in]</c>: what the weights passed on; may be added to.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public virtual void ProjectBackward(
        int layer, Projection projection, WeightMatrix matrix, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens,
        CancellationToken cancellationToken)
    {
    }

    /// <summary>Where a gain's gradient is to be added, or null where it is not wanted.</summary>
    /// <param name="layer">Block number, from 0; the number of blocks for the last gain.</param>
    /// <param name="gain">Which gain.</param>
    public virtual AlignedBuffer? GainGradient(int layer, Gain gain) => null;
}
