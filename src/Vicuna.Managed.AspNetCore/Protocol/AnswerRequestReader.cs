using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.AspNetCore.Hosting;

namespace Vicuna.Managed.AspNetCore.Protocol;

/// <summary>
/// Reads what requests for chats and for completions have in common. Ranges are those of OpenAI's API; our own additions are <c>top_k</c>, <c>min_p</c>,
/// <c>repetition_penalty</c>, <c>priority</c> and <c>time_limit</c>.
/// </summary>
internal static class AnswerRequestReader
{
    private const int MaxStops = 64;
    private const int MaxStopLength = 1024;
    private const int MaxBiases = 4096;
    private const int MaxTopLogProbabilities = 20;
    private const int MaxClassicLogProbabilities = 5;
    private const double MaxSeconds = 86_400;

    // OpenAI allows a nucleus of nothing, which is the likeliest token.
    private const double LeastTopP = 1e-6;

    /// <summary>Reads the fields.</summary>
    /// <param name="body">The request.</param>
    /// <param name="served">The model.</param>
    /// <param name="options">Limits.</param>
    /// <param name="prompts">Prompts of the request, each of which has its answers.</param>
    /// <param name="isChat">Whether it is a chat.</param>
    /// <exception cref="ApiException">Something is out of range.</exception>
    public static AnswerRequest Read(Fields body, ServedModel served, VicunaServerOptions options, int prompts, bool isChat)
    {
        bool stream = body.Flag("stream");
        // More than the engine can have at a time would be refused for ever.
        int most = Math.Min(options.MaxChoices, served.Room);
        int choices = body.Int("n", 1, most) ?? 1;
        if (stream && (choices > 1 || prompts > 1))
        {
            throw Errors.Unsupported(
                choices > 1 ? "n" : "prompt", "stream: expected one answer, found several; their pieces cannot be told apart by all clients.");
        }

        if ((long)choices * prompts > most)
        {
            throw Errors.Invalid("prompt", $"prompt: expected at most {most} answers, prompts times n, found {(long)choices * prompts}.");
        }

        if (!isChat && body.Int("best_of", 1, int.MaxValue) is > 1)
        {
            throw Errors.Unsupported("best_of", "best_of: expected 1, found more; it is not supported.");
        }

        ToolRequest? tools = isChat ? ToolReader.Read(body, served, options) : null;
        GenerationOptions generation = new()
        {
            MaxNewTokens = ReadMaxTokens(body, options) ?? served.Engine.ContextLength,
            Temperature = body.Number("temperature", 0, 2),
            TopP = body.Number("top_p", 0, 1) is { } nucleus ? Math.Max(nucleus, LeastTopP) : null,
            TopK = body.Int("top_k", -1, int.MaxValue) is { } candidates ? Math.Max(candidates, 0) : null,
            MinP = body.Number("min_p", 0, 1),
            RepetitionPenalty = body.Number("repetition_penalty", 0, 100, leastExcluded: true),
            PresencePenalty = body.Number("presence_penalty", -2, 2),
            FrequencyPenalty = body.Number("frequency_penalty", -2, 2),
            Seed = body.Long("seed"),
            LogitBias = ReadBias(body, served.Model.Config.VocabSize),
            LogProbabilities = isChat ? ReadLogProbabilities(body) : body.Int("logprobs", 0, MaxClassicLogProbabilities),
            StopStrings = ReadStops(body, isChat ? served.Model.PromptFormatter.StopStrings : []),
            Constraint = tools?.Form ?? ResponseFormatReader.Read(body, served.Constraints),
        };
        return new AnswerRequest
        {
            Options = generation,
            Treatment = ReadTreatment(body, options, isChat ? "chat" : "text_completion"),
            Choices = choices,
            Stream = stream,
            Tools = tools,
            IncludeUsage = stream && body.Object("stream_options") is { } streaming && streaming.Flag("include_usage"),
        };
    }

    /// <summary>Reads how the request wants to be treated.</summary>
    public static RequestOptions ReadTreatment(Fields body, VicunaServerOptions options, string operation)
    {
        TimeSpan? asked = body.Number("time_limit", 0, MaxSeconds, leastExcluded: true) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        TimeSpan? limit = asked is { } own && options.TimeLimit is { } most ? (own < most ? own : most) : asked ?? options.TimeLimit;
        return new RequestOptions
        {
            // The smallest number of seconds is less than a tick.
            TimeLimit = limit is { } time ? TimeSpan.FromTicks(Math.Max(time.Ticks, 1)) : null,
            Priority = body.String("priority") switch
            {
                null or "normal" or "auto" or "default" => RequestPriority.Normal,
                "low" => RequestPriority.Low,
                "high" => RequestPriority.High,
                _ => throw Wrong(body, "priority", "one of low, normal, high"),
            },
            OperationName = operation,
        };
    }

    /// <summary>Checks that the model that was asked for is the one that is served. A request need not name one.</summary>
    /// <exception cref="ApiException">It is another.</exception>
    public static void CheckModel(Fields body, ServedModel served)
    {
        if (body.String("model") is { Length: > 0 } name && name != served.Id)
        {
            throw Errors.UnknownModel(name, served.Id);
        }
    }

    private static int? ReadMaxTokens(Fields body, VicunaServerOptions options)
    {
        const string Newer = "max_completion_tokens";
        string name = body.Has(Newer, out _) ? Newer : "max_tokens";
        int? most = body.Int(name, 1, int.MaxValue);
        return most <= (options.MaxTokensLimit ?? int.MaxValue)
            ? most
            : most is null
                ? options.DefaultMaxTokens ?? options.MaxTokensLimit
                : throw Errors.Invalid(name, $"{name}: expected at most {options.MaxTokensLimit}, this server's limit, found {most}.");
    }

    private static int? ReadLogProbabilities(Fields body)
    {
        bool wanted = body.Flag("logprobs");
        int? top = body.Int("top_logprobs", 0, MaxTopLogProbabilities);
        return wanted ? top ?? 0
            : top is null or 0 ? null
            : throw Errors.Invalid("top_logprobs", $"top_logprobs: expected logprobs to be true with it, found {top} without.");
    }

    // What ends a turn in the model's template ends it too.
    private static string[]? ReadStops(Fields body, IReadOnlyList<string> own)
    {
        const string Name = "stop";
        if (!body.Has(Name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            return [.. own, Stop(value, Name)];
        }

        int most = MaxStops - own.Count;
        return value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= most
            ? [.. own, .. value.EnumerateArray().Select((element, index) => Stop(element, $"{Name}[{index}]"))]
            : throw Fields.Wrong(Name, $"a string, or an array of at most {most} strings", value);
    }

    private static string Stop(JsonElement value, string path) => Fields.StringOf(value, path) is { Length: >= 1 and <= MaxStopLength } text
        ? text
        : throw Errors.Invalid(path, $"{path}: expected 1 to {MaxStopLength} characters, found {Fields.StringOf(value, path).Length}.");

    private static Dictionary<int, float>? ReadBias(Fields body, int vocabulary)
    {
        const string Name = "logit_bias";
        if (!body.Has(Name, out JsonElement value))
        {
            return null;
        }

        Dictionary<int, float> biases = [];
        _ = Fields.Of(value, Name);
        foreach (JsonProperty pair in value.EnumerateObject())
        {
            string path = $"{Name}.{Text.Printable(pair.Name, 20)}";
            if (!int.TryParse(pair.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int token) || token >= vocabulary)
            {
                throw Errors.Invalid(Name, $"{path}: expected a token id from 0 to {vocabulary - 1}, found another name.");
            }

            double bias = Fields.NumberOf(pair.Value, path, -100, 100);
            // OpenAI's API: -100 bans a token.
            biases[token] = bias <= -100 ? float.NegativeInfinity : (float)bias;
            if (biases.Count > MaxBiases)
            {
                throw Errors.Invalid(Name, $"{Name}: expected at most {MaxBiases} tokens, found more.");
            }
        }

        return biases;
    }

    private static ApiException Wrong(Fields body, string name, string expected)
    {
        _ = body.Has(name, out JsonElement value);
        return Fields.Wrong(name, expected, value);
    }
}
