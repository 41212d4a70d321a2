namespace Vicuna.Managed.Tokenization;

/// <summary>What a vocabulary says about itself beside its pieces. The defaults are those of <c>sentencepiece_model.proto</c>; −1 is "none".</summary>
internal sealed record SentencePieceOptions
{
    /// <summary>Id of the unknown piece; only its range is checked, as the piece's type decides.</summary>
    public int UnknownId { get; init; }

    /// <summary>Id of the piece that begins a sequence.</summary>
    public int BosId { get; init; } = 1;

    /// <summary>Id of the piece that ends a sequence.</summary>
    public int EosId { get; init; } = 2;

    /// <summary>Id of the padding piece.</summary>
    public int PadId { get; init; } = -1;

    /// <summary>Whether characters that the vocabulary does not hold are spelled in byte pieces.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>Whether every text gets a space in front.</summary>
    public bool AddDummyPrefix { get; init; } = true;

    /// <summary>Whether spaces at the start and end are dropped and runs of spaces made one.</summary>
    public bool RemoveExtraWhitespaces { get; init; } = true;

    /// <summary>Whether a space is written as ▁ (U+2581) in pieces.</summary>
    public bool EscapeWhitespaces { get; init; } = true;

    /// <summary>What the unknown piece decodes to.</summary>
    public string UnknownSurface { get; init; } = " \u2047 ";
}
