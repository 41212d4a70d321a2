namespace Vicuna.Managed.Adapters;

/// <summary>The two factors that change one projection of one block: W' = W + scale · B·A.</summary>
/// <param name="Layer">Block number, from 0.</param>
/// <param name="Projection">The projection's path inside its block: <c>self_attn.q_proj</c>, <c>mlp.down_proj</c>.</param>
/// <param name="Rank">r, dimensionless.</param>
/// <param name="A">f32 <c>[r, in]</c> (<c>lora_A.weight</c>).</param>
/// <param name="B">f32 <c>[out, r]</c> (<c>lora_B.weight</c>).</param>
internal sealed record LoraPair(int Layer, string Projection, int Rank, float[] A, float[] B);
