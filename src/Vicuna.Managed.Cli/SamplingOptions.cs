using System.CommandLine;

namespace Vicuna.Managed.Cli;

/// <summary>The options of generate and chat that say how tokens are chosen.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<int?> _maxNewTokens = OptionsOf.Int("--max-new-tokens", "Most tokens to generate. Default: the model's, else 256.", 1, int.MaxValue);
    private readonly Option<double?> _temperature = OptionsOf.Number("--temperature", "0 = greedy. Default: the model's.", 0, 100);
    private readonly Option<int?> _topK = OptionsOf.Int("--top-k", "Draw from this many of the likeliest tokens; 0 = all.", 0, int.MaxValue);
    private readonly Option<double?> _topP = OptionsOf.Number("--top-p", "Draw from the likeliest tokens of this probability together.", 0, 1, leastExcluded: true);
    private readonly Option<double?> _minP = OptionsOf.Number("--min-p", "Draw from tokens at least this likely, relative to the likeliest.", 0, 1);
    private readonly Option<double?> _repetitionPenalty = OptionsOf.Number("--repetition-penalty", "Makes tokens that have occurred less likely; 1 = off.", 0, 100, leastExcluded: true);
    private readonly Option<double?> _presencePenalty = OptionsOf.Number("--presence-penalty", "Subtracted from the logits of tokens in the answer.", -100, 100);
    private readonly Option<double?> _frequencyPenalty = OptionsOf.Number("--frequency-penalty", "Subtracted from logits for every time a token was generated.", -100, 100);
    private readonly Option<long?> _seed = OptionsOf.Long("--seed", "Key of the random numbers. Default: a new one.");

    private readonly Option<int?> _logProbabilities = OptionsOf.Int(
        "--log-probabilities", "With --json, adds the log-probabilities of the answer's tokens and of this many of the likeliest at each place.", 0, 100);

    private readonly ConstraintOptions _constraint;

    private readonly Option<string[]> _stop = new("--stop")
    {
        Description = "A text that ends the answer; may be given several times.",
        HelpName = "TEXT",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>Adds the options to a verb.</summary>
    public SamplingOptions(Command command)
    {
        foreach (Option option in new Option[] { _maxNewTokens, _temperature, _topK, _topP, _minP, _repetitionPenalty, _presencePenalty, _frequencyPenalty, _seed, _stop, _logProbabilities })
        {
            command.Add(option);
        }

        _constraint = new ConstraintOptions(command);
    }

    /// <summary>What the command line says; null where it says nothing.</summary>
    /// <exception cref="WrongUsageException">Options do not go together.</exception>
    /// <exception cref="InvalidDataException">The form that the answer is to have is no good.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public GenerationOptions Read(ParseResult parsed) => new()
    {
        MaxNewTokens = parsed.GetValue(_maxNewTokens),
        Temperature = parsed.GetValue(_temperature),
        TopK = parsed.GetValue(_topK),
        TopP = parsed.GetValue(_topP),
        MinP = parsed.GetValue(_minP),
        RepetitionPenalty = parsed.GetValue(_repetitionPenalty),
        PresencePenalty = parsed.GetValue(_presencePenalty),
        FrequencyPenalty = parsed.GetValue(_frequencyPenalty),
        Seed = parsed.GetValue(_seed),
        StopStrings = parsed.GetValue(_stop) is { Length: > 0 } stops ? stops : null,
        LogProbabilities = parsed.GetValue(_logProbabilities),
        Constraint = _constraint.Read(parsed),
    };
}
