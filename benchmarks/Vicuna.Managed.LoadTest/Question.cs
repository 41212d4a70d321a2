namespace Vicuna.Managed.LoadTest;

/// <summary>What is asked.</summary>
/// <param name="Text">The user's message.</param>
/// <param name="MaxTokens">Longest answer.</param>
internal sealed record Question(string Text, int MaxTokens)
{
    /// <summary>Pieces after which the client leaves; null = it stays.</summary>
    public int? LeaveAfter { get; init; }

    /// <summary>Whether the model may end its answer before the longest.</summary>
    public bool MayEnd { get; init; } = true;

    /// <summary>Told of every piece of text as it comes: its timestamp.</summary>
    public Action<long>? Arrived { get; init; }
}
