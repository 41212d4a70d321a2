namespace DesktopSample.ViewModels;

/// <summary>A conversation as it is stored.</summary>
/// <param name="Version">Version of the format.</param>
/// <param name="Id">Its name on the disk.</param>
/// <param name="Title">Its title.</param>
/// <param name="Updated">When its last answer ended.</param>
/// <param name="Messages">User and model in turn, beginning with the user.</param>
internal sealed record ConversationRecord(int Version, Guid Id, string Title, DateTimeOffset Updated, IReadOnlyList<MessageRecord> Messages)
{
    /// <summary>The version that is written, and the only one that is read.</summary>
    public const int CurrentVersion = 1;

    /// <summary>What is wrong with it, or null.</summary>
    public string? Problem() => Version != CurrentVersion
        ? $"expected version {CurrentVersion}, found {Version}"
        : Messages.Count == 0 || Messages.Count % 2 != 0
            ? $"expected messages in pairs, found {Messages.Count}"
            : Messages.Where((message, index) => message is null || message.IsUser != (index % 2 == 0)).Any()
                ? "expected messages of user and model in turn"
                : null;
}
