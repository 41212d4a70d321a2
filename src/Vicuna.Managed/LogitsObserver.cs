namespace Vicuna.Managed;

/// <summary>Receives the logits of one position.</summary>
/// <param name="position">Position of the token after which they predict, from 0.</param>
/// <param name="logits">f32 <c>[V]</c>, one per token id; valid during the call.</param>
public delegate void LogitsObserver(int position, ReadOnlySpan<float> logits);
