using System.Collections;
using System.Globalization;
using System.Text.Json;

namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>
/// Reads what <see cref="Microsoft.Extensions.AI.ChatOptions"/> have no property for from their additional properties. Values may be what a program sets,
/// or what JSON makes of it. Keys that are not ours are others' business.
/// </summary>
internal sealed class ExtraOptions(IReadOnlyDictionary<string, object?>? properties)
{
    private const double MostBias = 100;
    private const double MostSeconds = 86_400;

    /// <summary><c>min_p</c>.</summary>
    public double? MinP => Number("min_p");

    /// <summary><c>repetition_penalty</c>.</summary>
    public double? RepetitionPenalty => Number("repetition_penalty");

    /// <summary><c>priority</c>.</summary>
    public RequestPriority? Priority
    {
        get
        {
            const string Key = "priority";
            return Value(Key) switch
            {
                null => null,
                RequestPriority priority => priority,
                "low" => RequestPriority.Low,
                "normal" => RequestPriority.Normal,
                "high" => RequestPriority.High,
                var other => throw Wrong(Key, $"a {nameof(RequestPriority)}, or one of low, normal, high", other),
            };
        }
    }

    /// <summary><c>time_limit</c>.</summary>
    public TimeSpan? TimeLimit
    {
        get
        {
            const string Key = "time_limit";
            return Value(Key) switch
            {
                null => null,
                TimeSpan time => time,
                var other => NumberOf(other) is > 0 and <= MostSeconds and var seconds
                    ? TimeSpan.FromSeconds(seconds)
                    : throw Wrong(Key, $"a {nameof(TimeSpan)}, or seconds above 0 and at most {MostSeconds}", other),
            };
        }
    }

    /// <summary><c>logit_bias</c>: by token id, in logits, -100 to 100; -100 bans a token as in OpenAI's API.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias
    {
        get
        {
            const string Key = "logit_bias";
            Dictionary<int, float> biases = [];
            switch (Value(Key))
            {
                case null:
                    return null;
                case JsonElement { ValueKind: JsonValueKind.Object } json:
                    foreach (JsonProperty pair in json.EnumerateObject())
                    {
                        Add(pair.Name, pair.Value);
                    }

                    break;
                case IDictionary dictionary:
                    foreach (DictionaryEntry pair in dictionary)
                    {
                        Add(pair.Key, pair.Value);
                    }

                    break;
                case var other:
                    throw Wrong(Key, "a dictionary of numbers by token id", other);
            }

            return biases;

            void Add(object key, object? value)
            {
                int token = key switch
                {
                    int id => id,
                    string name when int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) => id,
                    _ => throw Wrong(Key, "token ids as keys", key),
                };
                double bias = NumberOf(value) is >= -MostBias and <= MostBias and var number
                    ? number
                    : value is float.NegativeInfinity or double.NegativeInfinity
                        ? double.NegativeInfinity
                        : throw Wrong($"{Key}[{token}]", $"a number from {-MostBias} to {MostBias}", value);
                biases[token] = bias <= -MostBias ? float.NegativeInfinity : (float)bias;
            }
        }
    }

    /// <summary>The number that a value is; null where it is none.</summary>
    private static double? NumberOf(object? value) => value switch
    {
        double number => number,
        float number => SingleNumber.Exact(number),
        int number => number,
        long number => number,
        decimal number => (double)number,
        JsonElement { ValueKind: JsonValueKind.Number } number => number.GetDouble(),
        _ => null,
    };

    private static ArgumentException Wrong(string key, string expected, object? found)
    {
        string shown = found switch
        {
            null => "null",
            JsonElement json => $"JSON of kind {json.ValueKind}",
            IFormattable value => $"{value.ToString(null, CultureInfo.InvariantCulture)} of type {value.GetType().Name}",
            _ => $"a value of type {found.GetType().Name}",
        };
        return new ArgumentException($"AdditionalProperties[\"{key}\"]: expected {expected}, found {shown}.", key);
    }

    private double? Number(string key) => Value(key) is { } value ? NumberOf(value) ?? throw Wrong(key, "a number", value) : null;

    private object? Value(string key)
    {
        object? value = properties?.GetValueOrDefault(key);
        return value switch
        {
            JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
            JsonElement { ValueKind: JsonValueKind.String } text => text.GetString(),
            _ => value,
        };
    }
}
