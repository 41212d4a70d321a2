namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>A call of a tool in a message of a request.</summary>
/// <param name="Id">Its id, by which a tool's message answers it.</param>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">Its arguments, a JSON object as text.</param>
internal sealed record RequestToolCall(string Id, string Name, string Arguments);
