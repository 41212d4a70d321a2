namespace Vicuna.Managed.Chat;

/// <summary>A function that a model may ask its caller to call, for <see cref="PromptTools"/>.</summary>
/// <param name="Name">Its name: 1 to 128 ASCII letters, digits, <c>_</c>, <c>-</c> and <c>.</c>.</param>
/// <param name="Description">What it does, for the model; null for none.</param>
/// <param name="Parameters">JSON schema of its arguments, an object; null where it takes none.</param>
public sealed record PromptTool(string Name, string? Description = null, string? Parameters = null);
