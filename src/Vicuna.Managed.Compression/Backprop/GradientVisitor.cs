using Vicuna.Managed.Kernels.Matmul;
using Vicuna.Managed.Kernels.Memory;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Compression.Backprop;

/// <summary>
/// What is done with a model's gradient as the backward pass comes by: scores are summed, parameters get their gradients, adapters take part in the
/// forward pass too. The base class does nothing.
/// </summary>
internal class GradientVisitor
{
    /// <summary>Called after a projection, in the forward pass and when a block is computed again.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="projection">Which projection.</param>
    /// <param name="x">Its input, f32 <c>[tokens, in]</c>.</param>
    /// <param name="y">Its output, f32 <c>[tokens, out]</c>; may be changed.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public virtual void Project(int layer, BlockMatrix projection, AlignedBuffer x, AlignedBuffer y, int tokens, CancellationToken cancellationToken)
    {
    }

    /// <summary>Called when a projection's output has its gradient.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="projection">Which projection.</param>
    /// <param name="matrix">Its weights, <c>[out, in]</c>.</param>
    /// <param name="x">Its input, f32 <c>[tokens, in]</c>.</param>
    /// <param name="outputGradient">f32 <c>[tokens, out]</c>.</param>
    /// <param name="inputGradient">f32 <c>[tokens, in]</c>: what the weights passed on; may be added to.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public virtual void ProjectBackward(
        int layer, BlockMatrix projection, WeightMatrix matrix, AlignedBuffer x, AlignedBuffer outputGradient, AlignedBuffer inputGradient, int tokens,
        CancellationToken cancellationToken)
    {
    }

    /// <summary>Called when logits have their gradient; some hundred predictions at a time.</summary>
    /// <param name="head">The output head, <c>[V, D]</c>.</param>
    /// <param name="x">Its input, f32 <c>[tokens, D]</c>.</param>
    /// <param name="logitsGradient">f32 <c>[tokens, V]</c>.</param>
    /// <param name="tokens">Number of predictions.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public virtual void HeadBackward(WeightMatrix head, AlignedBuffer x, AlignedBuffer logitsGradient, int tokens, CancellationToken cancellationToken)
    {
    }

    /// <summary>Where a gain's gradient is to be added, or null where it is not wanted.</summary>
    /// <param name="layer">Block number, from 0; the number of blocks for the last gain.</param>
    /// <param name="gain">Which gain.</param>
    public virtual AlignedBuffer? GainGradient(int layer, Gain gain) => null;

    /// <summary>Called when the gradient of a gain of a block has been added.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="gain">Which gain; never the last one, whose gradient comes in parts.</param>
    /// <param name="weights">The gain, f32 <c>[D]</c>.</param>
    public virtual void GainAdded(int layer, Gain gain, float[] weights)
    {
    }
}
