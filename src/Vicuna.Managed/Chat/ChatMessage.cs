namespace Vicuna.Managed.Chat;

/// <summary>A message of a conversation.</summary>
/// <param name="Role">Who wrote it.</param>
/// <param name="Content">Its text, which no template ever takes for control tokens.</param>
public sealed record ChatMessage(ChatRole Role, string Content);
