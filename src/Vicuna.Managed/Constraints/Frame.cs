namespace Vicuna.Managed.Constraints;

/// <summary>A rule whose text is under way.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="State">Where in it the text is.</param>
/// <param name="Below">The rules that have called it.</param>
internal readonly record struct Frame(int Rule, int State, FrameSet Below);
