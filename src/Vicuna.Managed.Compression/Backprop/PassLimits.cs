namespace Vicuna.Managed.Compression.Backprop;

/// <summary>How large passes get: what buffers are allocated for.</summary>
/// <param name="Tokens">Most tokens of a batch.</param>
/// <param name="SequenceTokens">Most tokens of a sequence.</param>
/// <param name="TargetRows">Predictions whose logits exist at a time.</param>
internal readonly record struct PassLimits(int Tokens, int SequenceTokens, int TargetRows);
