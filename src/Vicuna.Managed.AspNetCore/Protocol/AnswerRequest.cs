namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>What requests for chats and for completions have in common.</summary>
internal sealed record AnswerRequest
{
    /// <summary>How to generate.</summary>
    public required GenerationOptions Options { get; init; }

    /// <summary>How to treat the request.</summary>
    public required RequestOptions Treatment { get; init; }

    /// <summary>Answers to each prompt.</summary>
    public required int Choices { get; init; }

    /// <summary>Whether the answer is sent piece by piece.</summary>
    public required bool Stream { get; init; }

    /// <summary>Whether a stream ends with the numbers of tokens.</summary>
    public required bool IncludeUsage { get; init; }

    /// <summary>Tools that the model may call; null for none.</summary>
    public ToolRequest? Tools { get; init; }

    /// <summary>Options of one of several answers: with a seed each has another one, so that they differ and can be had again.</summary>
    public GenerationOptions OptionsOf(int choice) => Options with { Seed = Options.Seed is { } seed ? unchecked(seed + choice) : null };
}
