using System.Globalization;
using System.Text.Json;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli;

/// <summary>What <c>evaluate</c> found out about a model.</summary>
/// <param name="name">What it is called.</param>
/// <param name="path">Where it is; null for the embedded one.</param>
/// <param name="model">The model; it is not kept.</param>
internal sealed class EvaluatedModel(string name, string? path, LanguageModel model)
{
    private readonly ModelReportRow _row = ModelReportRow.Of(name, model, [], []);
    private readonly List<(string Name, PerplexityResult Result)> _perplexities = [];
    private readonly List<ZeroShotResult> _tasks = [];

    /// <summary>The tasks.</summary>
    public IReadOnlyList<ZeroShotResult> Tasks => _tasks;

    /// <summary>Tokens per second, where that was measured.</summary>
    public double? TokensPerSecond { get; set; }

    /// <summary>Writes the members of a task's result.</summary>
    public static void WriteTask(Utf8JsonWriter json, ZeroShotResult task)
    {
        json.WriteNumber("accuracy", task.Accuracy);
        json.WriteNumber("accuracyNormalized", task.AccuracyNormalized);
        json.WriteNumber("items", task.Items);
        json.WriteNumber("accuracyStandardError", task.AccuracyStandardError);
        json.WriteNumber("accuracyNormalizedStandardError", task.AccuracyNormalizedStandardError);
        json.WriteNumber("cutItems", task.CutItems);
        json.WriteNumber("brokenLines", task.BrokenLines);
        json.WriteString("task", task.Task);
        json.WriteString("reported", task.IsNormalizedReported ? "accuracyNormalized" : "accuracy");
    }

    /// <summary>Adds a text's perplexity.</summary>
    public void Add(string text, PerplexityResult result) => _perplexities.Add((text, result));

    /// <summary>Adds a task's result.</summary>
    public void Add(ZeroShotResult result) => _tasks.Add(result);

    /// <summary>The model's row in a report.</summary>
    public ModelReportRow ToRow() => _row with
    {
        Perplexities = [.. _perplexities.Select(text => new ModelReportValue(text.Name, text.Result.Perplexity))],
        Accuracies = [.. _tasks.Select(ModelReportRow.AccuracyOf)],
        TokensPerSecond = TokensPerSecond,
    };

    /// <summary>Prints everything for people, a line each.</summary>
    public void WriteText()
    {
        foreach ((string text, PerplexityResult result) in _perplexities)
        {
            Line($"{_row.Name}: {text}: perplexity {result.Perplexity:0.0000} over {result.Tokens} tokens in {result.Windows} windows");
        }

        foreach (ZeroShotResult task in _tasks)
        {
            string plain = Percent(task.Accuracy, task.AccuracyStandardError);
            string normalized = Percent(task.AccuracyNormalized, task.AccuracyNormalizedStandardError);
            Line($"{_row.Name}: {task.Task}: accuracy {plain}, normalized {normalized}, {task.Items} items");
            if (task.CutItems > 0)
            {
                Console.Error.WriteLine($"vicuna: warning: {task.Task}: the contexts of {task.CutItems} items were cut from the left to fit the model's.");
            }
        }

        if (TokensPerSecond is { } speed)
        {
            Line($"{_row.Name}: {speed:0.0} tokens per second");
        }
    }

    /// <summary>Writes everything as an object.</summary>
    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("name", _row.Name);
        json.WriteString("path", path);
        json.WriteNumber("parameters", _row.Parameters);
        json.WriteNumber("blocks", _row.Blocks);
        json.WriteStartArray("perplexities");
        foreach ((string text, PerplexityResult result) in _perplexities)
        {
            json.WriteStartObject();
            json.WriteString("text", text);
            json.WriteNumber("perplexity", result.Perplexity);
            json.WriteNumber("nll", result.MeanNegativeLogLikelihood);
            json.WriteNumber("tokens", result.Tokens);
            json.WriteNumber("windows", result.Windows);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("tasks");
        foreach (ZeroShotResult task in _tasks)
        {
            json.WriteStartObject();
            WriteTask(json, task);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (_tasks.Count > 0)
        {
            json.WriteNumber("mean", _tasks.Average(task => task.Reported));
        }

        if (TokensPerSecond is { } speed)
        {
            json.WriteNumber("tokensPerSecond", speed);
        }

        json.WriteEndObject();
    }

    private static string Percent(double accuracy, double error) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * accuracy:0.00} ± {100 * error:0.00} %");

    private static void Line(FormattableString text) => Console.WriteLine(FormattableString.Invariant(text));
}
