namespace DesktopSample.ViewModels;

/// <summary>A message as it is stored.</summary>
/// <param name="IsUser">Whether the user wrote it; else the model did.</param>
/// <param name="Text">What was written.</param>
/// <param name="Note">What is to be known of it: how fast, or why it ended early; null for nothing.</param>
internal sealed record MessageRecord(bool IsUser, string Text, string? Note);
