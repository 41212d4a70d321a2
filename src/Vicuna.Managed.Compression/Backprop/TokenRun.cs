namespace Vicuna.Managed.Compression.Backprop;

/// <summary>One sequence in a batch.</summary>
/// <param name="Start">Number of its first token.</param>
/// <param name="Length">Its tokens.</param>
internal readonly record struct TokenRun(int Start, int Length);
