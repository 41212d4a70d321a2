namespace Vicuna.Managed.Chat;

/// <summary>A call that a model asks for.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">Its arguments, a JSON object as text.</param>
public sealed record PromptToolCall(string Name, string Arguments);
