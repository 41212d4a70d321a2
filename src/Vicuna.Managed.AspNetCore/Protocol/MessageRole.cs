namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>Who wrote a message of a request.</summary>
internal enum MessageRole
{
    /// <summary>Instructions: <c>system</c> or <c>developer</c>.</summary>
    System,

    /// <summary>The person, or program, that asks.</summary>
    User,

    /// <summary>The model.</summary>
    Assistant,

    /// <summary>What a tool gave.</summary>
    Tool,
}
