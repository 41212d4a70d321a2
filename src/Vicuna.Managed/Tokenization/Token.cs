namespace Vicuna.Managed.Tokenization;

/// <summary>A piece in a text: its id and the characters <c>[Start, End)</c> of the normalized text that it stands for.</summary>
/// <param name="Id">Id in the vocabulary.</param>
/// <param name="Start">Index of the first character.</param>
/// <param name="End">Index after the last character. The bytes of one character all have its range.</param>
internal readonly record struct Token(int Id, int Start, int End);
