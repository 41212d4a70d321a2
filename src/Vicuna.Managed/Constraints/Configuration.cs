namespace Vicuna.Managed.Constraints;

/// <summary>All places in a grammar where a text can be. Immutable.</summary>
/// <param name="id">Number of its own.</param>
/// <param name="frames">The places that take bytes; in order, none twice.</param>
/// <param name="accepts">Whether the text may end here.</param>
internal sealed class Configuration(int id, Frame[] frames, bool accepts)
{
    /// <summary>Number of its own.</summary>
    public int Id => id;

    /// <summary>The places that take bytes.</summary>
    public Frame[] Frames => frames;

    /// <summary>Whether the text may end here.</summary>
    public bool Accepts => accepts;
}
