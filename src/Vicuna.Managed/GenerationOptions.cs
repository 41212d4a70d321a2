namespace Vicuna.Managed;

/// <summary>
/// How an answer is generated. A property that is null takes the model's own default (from <c>generation_config.json</c>, see
/// <see cref="LanguageModel.DefaultOptions"/>). Values are checked when a generation starts.
/// </summary>
public sealed record GenerationOptions
{
    /// <summary>Most tokens to generate, 1 or more; the context's end also ends an answer. Default: the model's, else 256.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>Divisor of the logits, dimensionless, 0 to 100; 0 = greedy, always the likeliest token. Default: the model's, else 0.</summary>
    public double? Temperature { get; init; }

    /// <summary>Only this many of the likeliest tokens are drawn from; 0 = all. Default: the model's, else 0.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability are drawn from, dimensionless, above 0 to 1 (Holtzman et al. 2020). Default: the model's, else 1.</summary>
    public double? TopP { get; init; }

    /// <summary>Only tokens at least this likely, relative to the likeliest, are drawn from, dimensionless, 0 to 1. Default: the model's, else 0.</summary>
    public double? MinP { get; init; }

    /// <summary>Makes tokens of prompt and answer less likely: divides their positive logits, multiplies negative ones; dimensionless, above 0 to 100, 1 = off (Keskar et al. 2019).</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Subtracted from the logit of each token that the answer has used, in logits, -100 to 100 (OpenAI's API). Default 0.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary>Subtracted from a token's logit for each time that the answer has used it, in logits, -100 to 100 (OpenAI's API). Default 0.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of tokens, by id, in logits; negative infinity bans a token. Default: none.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Key of the random numbers: the same seed, options and prompt give the same answer, for any number of threads. Default: a new one each time.</summary>
    public long? Seed { get; init; }

    /// <summary>Texts that end the answer and are not part of it; they may lie across tokens. At most 64 of at most 1,024 characters. Default: those of the prompt's template.</summary>
    public IReadOnlyList<string>? StopStrings { get; init; }

    /// <summary>Further token ids that end the answer, beside the model's own end-of-sequence ids. Default: none.</summary>
    public IReadOnlyList<int>? StopTokens { get; init; }

    /// <summary>Whether the model's end-of-sequence ids do not end the answer (for measuring speed). Default false.</summary>
    public bool IgnoreEndOfSequence { get; init; }

    /// <summary>
    /// Adapters that change the model for this answer alone, from <see cref="LanguageModel.LoadAdapter"/> of the same model; what several of them change
    /// adds up. Default: none.
    /// </summary>
    public IReadOnlyList<LoraAdapter>? Adapters { get; init; }

    /// <summary>A form that the answer must have, enforced while tokens are chosen. Default: none.</summary>
    public OutputConstraint? Constraint { get; init; }

    /// <summary>
    /// Asks for the log-probabilities of the answer's tokens, and of this many of the likeliest tokens at each place, 0 to 100: those of the model itself,
    /// whatever the options above make of them. Default: null, none.
    /// </summary>
    public int? LogProbabilities { get; init; }
}
