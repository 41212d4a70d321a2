namespace Vicuna.Managed.Chat;

/// <summary>
/// A part of a prompt: either text or one control token. Keeping them apart until they are encoded is what prevents a user's text from
/// becoming a control token.
/// </summary>
/// <param name="Kind">What the segment is.</param>
/// <param name="Value">The text, or the control piece's text; empty for BOS and EOS.</param>
public readonly record struct PromptSegment(PromptSegmentKind Kind, string Value)
{
    /// <summary>The token that begins a sequence.</summary>
    public static PromptSegment Bos => new(PromptSegmentKind.Bos, "");

    /// <summary>The token that ends a sequence.</summary>
    public static PromptSegment Eos => new(PromptSegmentKind.Eos, "");

    /// <summary>A segment of text.</summary>
    /// <param name="text">The text.</param>
    public static PromptSegment Text(string text) => new(PromptSegmentKind.Text, text);

    /// <summary>A control piece by its text.</summary>
    /// <param name="piece">Text of the piece, such as <c>&lt;|im_end|&gt;</c>.</param>
    public static PromptSegment Piece(string piece) => new(PromptSegmentKind.Piece, piece);
}
