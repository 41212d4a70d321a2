namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>A request, as the engine takes it.</summary>
/// <param name="Prompt">The conversation.</param>
/// <param name="Generation">How the answer is generated.</param>
/// <param name="Treatment">How the request is treated.</param>
internal sealed record Question(Prompt Prompt, GenerationOptions Generation, RequestOptions Treatment)
{
    /// <summary>Makes the form of the answer, which may take time and is done on no caller's thread; null where there is none to be made.</summary>
    public Func<OutputConstraint>? Form { get; init; }

    /// <summary>Whether the answer is a call of a tool, or words, in one form.</summary>
    public bool HasTools { get; init; }
}
