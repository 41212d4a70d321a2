namespace Vicuna.Managed;

/// <summary>A text as a vector.</summary>
/// <param name="Vector">
/// f32 <c>[D]</c>, <see cref="Models.ModelConfig.HiddenSize"/> long, of length 1: the mean of the last block's normalized output over all tokens, divided by its
/// Euclidean norm.
/// </param>
/// <param name="PromptTokens">Tokens of the text.</param>
public sealed record EmbeddingResult(IReadOnlyList<float> Vector, int PromptTokens);
