namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>A message of a request.</summary>
/// <param name="Role">Who wrote it.</param>
/// <param name="Content">Its text; empty where there is none.</param>
/// <param name="Index">Its place in the request.</param>
internal sealed record RequestMessage(MessageRole Role, string Content, int Index)
{
    /// <summary>Calls of tools that the message is, of the model's.</summary>
    public IReadOnlyList<RequestToolCall> ToolCalls { get; init; } = [];

    /// <summary>The call that a tool's message answers.</summary>
    public string? ToolCallId { get; init; }
}
