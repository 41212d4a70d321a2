namespace Vicuna.Managed.Constraints;

/// <summary>
/// Rules that wait for the same called text to end: the stacks below it, all of them in one, since alternatives may call from several places. Immutable.
/// </summary>
/// <param name="id">Number of its own.</param>
/// <param name="frames">The rules, each with those below; in order, no place twice.</param>
/// <param name="isBottom">Whether the called text may be the outermost.</param>
/// <param name="depth">Nested rules so far, the called one included.</param>
internal sealed class FrameSet(int id, Frame[] frames, bool isBottom, int depth)
{
    /// <summary>Number of its own.</summary>
    public int Id => id;

    /// <summary>The rules that wait.</summary>
    public Frame[] Frames => frames;

    /// <summary>Whether the called text may be the outermost.</summary>
    public bool IsBottom => isBottom;

    /// <summary>Nested rules so far, the called one included.</summary>
    public int Depth => depth;

    /// <summary>Where the text is when the called text has ended, once somebody has asked.</summary>
    public Configuration? Resumed { get; set; }
}
