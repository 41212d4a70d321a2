namespace Vicuna.Managed.Compression;

/// <summary>What a file of training data holds.</summary>
public enum TrainingDataKind
{
    /// <summary>What its beginning looks like.</summary>
    Auto,

    /// <summary>Instructions and answers: JSON objects with <c>instruction</c>, <c>input</c> (may be missing or empty) and <c>output</c>.</summary>
    Alpaca,

    /// <summary>
    /// Conversations: JSON objects with <c>conversations</c> (<c>[{"from":"human","value":...}]</c>, as ShareGPT and Vicuna have them) or
    /// <c>messages</c> (<c>[{"role":"user","content":...}]</c>, as OpenAI has them).
    /// </summary>
    Conversations,

    /// <summary>Plain text.</summary>
    Text,
}
