using Vicuna.Managed.Chat;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Tools that a request's answer may call.</summary>
/// <param name="Tools">Their description.</param>
/// <param name="Form">The form that the answer gets by them.</param>
internal sealed record ToolRequest(PromptTools Tools, OutputConstraint Form);
