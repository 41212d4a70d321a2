using Vicuna.Managed.Generation;

namespace Vicuna.Managed;

/// <content>Texts to vectors.</content>
public sealed partial class LanguageModel
{
    /// <summary>Turns a text into a vector, on the calling thread. Texts that mean the like have vectors that point the like way, as far as the model is good at it.</summary>
    /// <param name="prompt">The text, ids, or a conversation.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The vector, f32 <c>[D]</c>, of length 1.</returns>
    /// <exception cref="ArgumentException">The prompt is wrong.</exception>
    /// <exception cref="ContextLengthExceededException">The prompt does not fit the context.</exception>
    /// <exception cref="ModelFormatException">The prompt is not ids and the model has no tokenizer, or no known template.</exception>
    /// <exception cref="NonFiniteLogitsException">The model's output is not a number.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public EmbeddingResult Embed(Prompt prompt, CancellationToken cancellationToken = default)
    {
        CheckRequest(prompt, null);
        int[] tokens = [.. Encode(prompt)];
        Sequence sequence = new(_decoder, ContextLength, this) { Pool = new HiddenMean(Config.HiddenSize) };
        try
        {
            sequence.Append(tokens, null, cancellationToken);
            return new EmbeddingResult(sequence.Pool.Normalized(), tokens.Length);
        }
        finally
        {
            sequence.Guard.Close();
        }
    }
}
