namespace Vicuna.Managed.Chat;

/// <summary>Who wrote a message.</summary>
public enum ChatRole
{
    /// <summary>Instructions for the whole conversation.</summary>
    System,

    /// <summary>The person, or program, that asks.</summary>
    User,

    /// <summary>The model.</summary>
    Assistant,
}
