using Microsoft.Extensions.AI;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Makes <see cref="ChatOptions"/> the engine's options. What is out of the engine's ranges, the engine says.</summary>
internal static class OptionsReader
{
    // OpenAI's API allows a nucleus of nothing, which is the likeliest token; others write -1 for "all candidates".
    private const double LeastTopP = 1e-6;
    private const int AllCandidates = -1;

    /// <summary>Reads how the answer is generated. What <see cref="ChatOptions.RawRepresentationFactory"/> sets goes before the other properties.</summary>
    /// <param name="options">The options, which are not changed.</param>
    /// <param name="client">The client, for the factory.</param>
    /// <param name="template">Texts that end a turn in the model's template; they end it beside the request's own.</param>
    /// <param name="mostTokens">Most tokens of the answer where nothing says.</param>
    /// <exception cref="ArgumentException">A value is of the wrong type or out of its range.</exception>
    public static GenerationOptions ReadGeneration(ChatOptions? options, IChatClient client, IReadOnlyList<string> template, int mostTokens)
    {
        if (options is null)
        {
            return new GenerationOptions { MaxNewTokens = mostTokens };
        }

        if (options.MaxOutputTokens is < 1)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.MaxOutputTokens, $"MaxOutputTokens: expected at least 1, found {options.MaxOutputTokens}.");
        }

        ExtraOptions extras = new(options.AdditionalProperties);
        GenerationOptions raw = ReadRaw(options, client);
        return raw with
        {
            MaxNewTokens = raw.MaxNewTokens ?? options.MaxOutputTokens ?? mostTokens,
            Temperature = raw.Temperature ?? Exact(options.Temperature),
            TopP = raw.TopP ?? (options.TopP is 0 ? LeastTopP : Exact(options.TopP)),
            TopK = raw.TopK ?? (options.TopK is AllCandidates ? 0 : options.TopK),
            MinP = raw.MinP ?? extras.MinP,
            RepetitionPenalty = raw.RepetitionPenalty ?? extras.RepetitionPenalty,
            PresencePenalty = raw.PresencePenalty ?? Exact(options.PresencePenalty),
            FrequencyPenalty = raw.FrequencyPenalty ?? Exact(options.FrequencyPenalty),
            LogitBias = raw.LogitBias ?? extras.LogitBias,
            Seed = raw.Seed ?? options.Seed,
            StopStrings = raw.StopStrings ?? (options.StopSequences is { Count: > 0 } stops ? [.. template, .. stops] : null),
        };
    }

    /// <summary>Reads how the request is treated.</summary>
    /// <exception cref="ArgumentException">A value is of the wrong type or out of its range.</exception>
    public static RequestOptions ReadTreatment(ChatOptions? options)
    {
        ExtraOptions extras = new(options?.AdditionalProperties);
        return new RequestOptions { Priority = extras.Priority ?? RequestPriority.Normal, TimeLimit = extras.TimeLimit, OperationName = "chat" };
    }

    /// <summary>Reads the form that the answer must have.</summary>
    /// <param name="format">The format; null for text.</param>
    /// <param name="forms">Has the forms of schemas.</param>
    /// <returns>What makes the form; null for any text.</returns>
    /// <exception cref="NotSupportedException">The format is of an unknown kind.</exception>
    public static Func<OutputConstraint>? ReadForm(ChatResponseFormat? format, OutputConstraintCache forms)
    {
        switch (format)
        {
            case null or ChatResponseFormatText:
                return null;
            case ChatResponseFormatJson json:
                return () => StrictSchemas.Of(json) is { } schema ? forms.JsonSchema(schema) : OutputConstraint.JsonObject;
            default:
                throw new NotSupportedException($"ResponseFormat: expected text or JSON, found {format.GetType().Name}.");
        }
    }

    private static GenerationOptions ReadRaw(ChatOptions options, IChatClient client) => options.RawRepresentationFactory?.Invoke(client) switch
    {
        null => new GenerationOptions(),
        GenerationOptions raw => raw,
        var other => throw new ArgumentException(
            $"RawRepresentationFactory: expected {typeof(GenerationOptions).FullName} or null, found {other.GetType().FullName}.", nameof(options)),
    };

    private static double? Exact(float? value) => value is { } number ? SingleNumber.Exact(number) : null;
}
