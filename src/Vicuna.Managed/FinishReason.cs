namespace Vicuna.Managed;

/// <summary>Why an answer ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended it, with an end-of-sequence or stop token.</summary>
    EndOfSequence,

    /// <summary>A stop string came up.</summary>
    StopString,

    /// <summary>The most tokens to generate were reached.</summary>
    MaxNewTokens,

    /// <summary>The context is full.</summary>
    ContextFull,

    /// <summary>The request's time limit was reached.</summary>
    TimeLimit,
}
