using Terminal.Gui.Drawing;

namespace DesktopSample;

/// <summary>A line of the transcript.</summary>
/// <param name="Text">What it shows.</param>
/// <param name="Style">How it looks.</param>
internal readonly record struct TranscriptLine(string Text, TextStyle Style);
