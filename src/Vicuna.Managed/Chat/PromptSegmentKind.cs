namespace Vicuna.Managed.Chat;

/// <summary>What a segment of a prompt is.</summary>
public enum PromptSegmentKind
{
    /// <summary>Text, encoded on its own with the dummy prefix of the vocabulary.</summary>
    Text,

    /// <summary>The piece that begins a sequence.</summary>
    Bos,

    /// <summary>The piece that ends a sequence.</summary>
    Eos,

    /// <summary>A control piece given by its text; where the vocabulary does not have it, its text joins the segments beside it.</summary>
    Piece,
}
