namespace Vicuna.Managed.Tokenization;

/// <summary>
/// What a piece of a vocabulary is for. The numbers are those of <c>sentencepiece_model.proto</c>, which GGUF's <c>tokenizer.ggml.token_type</c> has too.
/// </summary>
public enum PieceType
{
    /// <summary>Ordinary text, made by merging.</summary>
    Normal = 1,

    /// <summary>Stands for text that the vocabulary cannot spell; there is exactly one.</summary>
    Unknown = 2,

    /// <summary>Steers the model (<c>&lt;s&gt;</c>, <c>&lt;/s&gt;</c>); never made from text, and decodes to nothing.</summary>
    Control = 3,

    /// <summary>Text that is always one piece of its own, matched before any merging.</summary>
    UserDefined = 4,

    /// <summary>Takes part in merging, but is split again before the result.</summary>
    Unused = 5,

    /// <summary>One byte of UTF-8 (<c>&lt;0x0A&gt;</c>), for characters that the vocabulary does not hold.</summary>
    Byte = 6,
}
