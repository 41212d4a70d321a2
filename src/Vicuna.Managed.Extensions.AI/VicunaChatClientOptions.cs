namespace Vicuna.Managed.Extensions.AI;

/// <summary>What a <see cref="VicunaChatClient"/> does where a request's <see cref="Microsoft.Extensions.AI.ChatOptions"/> do not say.</summary>
public sealed record VicunaChatClientOptions
{
    /// <summary>
    /// The model's name, in answers and in telemetry; a request that asks for another is refused. Default: the name of the model's folder or file.
    /// </summary>
    public string? ModelId { get; init; }

    /// <summary>Most tokens of an answer where the request does not say, 1 or more. Default: null, to the end of the context.</summary>
    public int? DefaultMaxOutputTokens { get; init; }

    /// <summary>
    /// Whether tools are described in the prompt, and calls enforced by form, where the model was not trained for tools. None of the library's templates
    /// has a form for tools, so that this decides for all of them. Default false: a request that requires a call is refused with a
    /// <see cref="NotSupportedException"/>; one that merely offers tools is answered without them, which is logged once.
    /// </summary>
    public bool EnablePromptTools { get; init; }
}
