namespace Vicuna.Managed;

/// <summary>A sequence does not fit the context. It is thrown before any work, and the sequence is as it was.</summary>
public sealed class ContextLengthExceededException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="tokens">Tokens that the sequence would have.</param>
    /// <param name="contextLength">Tokens that fit.</param>
    public ContextLengthExceededException(int tokens, int contextLength)
        : base($"The sequence would have {tokens} tokens; the context holds {contextLength}, and an answer needs room for at least one.")
    {
        Tokens = tokens;
        ContextLength = contextLength;
    }

    /// <summary>Tokens that the sequence would have had.</summary>
    public int Tokens { get; }

    /// <summary>Tokens that fit the context.</summary>
    public int ContextLength { get; }
}
