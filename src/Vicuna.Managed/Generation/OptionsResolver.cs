using Vicuna.Managed.Sampling;

namespace Vicuna.Managed.Generation;

/// <summary>Combines a caller's options with the model's defaults and checks every number.</summary>
internal static class OptionsResolver
{
    /// <summary>New tokens where neither the caller nor the model says.</summary>
    public const int DefaultMaxNewTokens = 256;

    private const int MaxLogProbabilities = 100;
    private const int MaxStopStrings = 64;
    private const int MaxStopStringLength = 1024;

    /// <summary>The caller's options, with the model's where the caller's are null.</summary>
    public static GenerationOptions Merge(GenerationOptions? options, GenerationOptions defaults) => options is null ? defaults : options with
    {
        MaxNewTokens = options.MaxNewTokens ?? defaults.MaxNewTokens,
        Temperature = options.Temperature ?? defaults.Temperature,
        TopK = options.TopK ?? defaults.TopK,
        TopP = options.TopP ?? defaults.TopP,
        MinP = options.MinP ?? defaults.MinP,
        RepetitionPenalty = options.RepetitionPenalty ?? defaults.RepetitionPenalty,
        PresencePenalty = options.PresencePenalty ?? defaults.PresencePenalty,
        FrequencyPenalty = options.FrequencyPenalty ?? defaults.FrequencyPenalty,
        LogitBias = options.LogitBias ?? defaults.LogitBias,
        Seed = options.Seed ?? defaults.Seed,
        StopStrings = options.StopStrings ?? defaults.StopStrings,
        StopTokens = options.StopTokens ?? defaults.StopTokens,
        Adapters = options.Adapters ?? defaults.Adapters,
        Constraint = options.Constraint ?? defaults.Constraint,
        LogProbabilities = options.LogProbabilities ?? defaults.LogProbabilities,
    };

    /// <summary>Checks options and makes them sampling parameters.</summary>
    /// <exception cref="ArgumentException">A value is out of its range; the message names it.</exception>
    public static SamplingSettings Resolve(GenerationOptions options, int vocabSize)
    {
        Check(options.MaxNewTokens is null or >= 1, nameof(options.MaxNewTokens), "at least 1", options.MaxNewTokens);
        Check(options.LogProbabilities is null or (>= 0 and <= MaxLogProbabilities), nameof(options.LogProbabilities), $"0 to {MaxLogProbabilities}", options.LogProbabilities);
        Check(options.TopK is null or >= 0, nameof(options.TopK), "at least 0", options.TopK);
        Range(options.Temperature, 0, 100, nameof(options.Temperature));
        Range(options.MinP, 0, 1, nameof(options.MinP));
        Range(options.PresencePenalty, -100, 100, nameof(options.PresencePenalty));
        Range(options.FrequencyPenalty, -100, 100, nameof(options.FrequencyPenalty));
        Check(options.TopP is null or (> 0 and <= 1), nameof(options.TopP), "above 0 and at most 1", options.TopP);
        Check(options.RepetitionPenalty is null or (> 0 and <= 100), nameof(options.RepetitionPenalty), "above 0 and at most 100", options.RepetitionPenalty);
        foreach ((int token, float bias) in options.LogitBias ?? new Dictionary<int, float>())
        {
            CheckToken(token, vocabSize, nameof(options.LogitBias));
            Check(!float.IsNaN(bias) && !float.IsPositiveInfinity(bias), nameof(options.LogitBias), "a number or negative infinity", bias);
        }

        foreach (int token in options.StopTokens ?? [])
        {
            CheckToken(token, vocabSize, nameof(options.StopTokens));
        }

        IReadOnlyList<string> stops = options.StopStrings ?? [];
        Check(stops.Count <= MaxStopStrings, nameof(options.StopStrings), $"at most {MaxStopStrings} strings", stops.Count);
        foreach (string stop in stops)
        {
            Check(stop is { Length: >= 1 and <= MaxStopStringLength }, nameof(options.StopStrings), $"strings of 1 to {MaxStopStringLength} characters", stop is null ? "null" : $"{stop.Length} characters");
        }

        return new SamplingSettings
        {
            Temperature = options.Temperature ?? 0,
            TopK = options.TopK ?? 0,
            TopP = options.TopP ?? 1,
            MinP = options.MinP ?? 0,
            RepetitionPenalty = options.RepetitionPenalty ?? 1,
            PresencePenalty = options.PresencePenalty ?? 0,
            FrequencyPenalty = options.FrequencyPenalty ?? 0,
            LogitBias = [.. options.LogitBias ?? new Dictionary<int, float>()],
            Seed = options.Seed ?? Random.Shared.NextInt64(),
        };
    }

    /// <summary>Checks that a token id exists.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not; the message names id and vocabulary.</exception>
    public static void CheckToken(int token, int vocabSize, string name)
    {
        if (token < 0 || token >= vocabSize)
        {
            throw new ArgumentOutOfRangeException(name, $"Token id {token} is not in the vocabulary of {vocabSize} (0 to {vocabSize - 1}).");
        }
    }

    private static void Range(double? value, double least, double most, string name) =>
        Check(value is null || (value >= least && value <= most), name, $"{least} to {most}", value);

    private static void Check(bool holds, string name, string expected, object? found)
    {
        if (!holds)
        {
            throw new ArgumentOutOfRangeException(name, $"{name}: expected {expected}, found {FormattableString.Invariant($"{found}")}.");
        }
    }
}
