using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>A choice as token ids: what the model reads, and from where on it is scored.</summary>
/// <param name="Ids">Context and choice, <c>[T]</c>; the last one is predicted, never read.</param>
/// <param name="First">Index of the choice's first id, 1 to T - 1.</param>
/// <param name="IsCut">Whether the context lost its beginning.</param>
internal sealed record ChoiceRequest(int[] Ids, int First, bool IsCut)
{
    /// <summary>
    /// Encodes a choice as the lm-evaluation-harness does: whitespace at the end of the context goes to the choice, both are encoded as one text, with the
    /// beginning-of-sequence id where the tokenizer has it, and what is longer than the context's own encoding is the choice. What does not fit
    /// is cut from the left.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="context">The context.</param>
    /// <param name="continuation">The choice.</param>
    /// <param name="contextLength">Most ids that the model reads.</param>
    /// <returns>The request; null where context and choice together have no token to predict.</returns>
    /// <exception cref="ContextLengthExceededException">The choice alone is too long.</exception>
    public static ChoiceRequest? Encode(SentencePieceTokenizer tokenizer, string context, string continuation, int contextLength)
    {
        int[] before = [.. tokenizer.Encode(context.AsSpan().TrimEnd(), tokenizer.AddBos)];
        int[] whole = [.. tokenizer.Encode(context + continuation, tokenizer.AddBos)];
        // A choice whose text melts into the context's last token is that token.
        int first = Math.Min(before.Length, whole.Length - 1);
        int[] choice = first < 0 ? [] : whole[first..];
        // Something has to stand before the first token for the model to predict it.
        before = first > 0 ? before[..first] : (tokenizer.BosId ?? tokenizer.EosId) is { } start ? [start] : [];
        if (before.Length == 0 || choice.Length == 0 || (choice.Length == 1 && choice[0] == tokenizer.BosId))
        {
            return null;
        }

        if (choice.Length > contextLength)
        {
            throw new ContextLengthExceededException(choice.Length, contextLength);
        }

        int[] ids = [.. before, .. choice];
        int cut = Math.Max(0, ids.Length - (contextLength + 1));
        return new ChoiceRequest(ids[cut..], before.Length - cut, cut > 0);
    }
}
