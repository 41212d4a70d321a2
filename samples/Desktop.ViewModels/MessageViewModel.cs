using CommunityToolkit.Mvvm.ComponentModel;

namespace DesktopSample.ViewModels;

/// <summary>A message of a conversation.</summary>
public sealed partial class MessageViewModel : ObservableObject
{
    internal MessageViewModel(bool isUser, string text, string? note = null) => (IsUser, Text, Note) = (isUser, text, note);

    /// <summary>Whether the user wrote it; else the model did.</summary>
    public bool IsUser { get; }

    /// <summary>What was written; grows while the model answers.</summary>
    [ObservableProperty]
    public partial string Text { get; internal set; }

    /// <summary>What is to be known of it: how fast it was, or why it ended early; null for nothing.</summary>
    [ObservableProperty]
    public partial string? Note { get; internal set; }
}
