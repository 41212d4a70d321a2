namespace Vicuna.Managed.Models;

/// <summary>Sees activations as they pass: for tests against an independent implementation, and for measuring blocks.</summary>
internal interface IActivationTap
{
    /// <summary>Called after each block.</summary>
    /// <param name="layer">Block number, from 0.</param>
    /// <param name="hidden">The residual stream after the block, f32 <c>[tokens, D]</c>; valid during the call.</param>
    void AfterBlock(int layer, ReadOnlySpan<float> hidden);
}
