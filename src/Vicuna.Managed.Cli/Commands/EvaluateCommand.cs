using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>How well models answer questions without having been shown examples, and a report of several models.</summary>
internal static class EvaluateCommand
{
    // The paper's own measurement of speed: a prompt of 12 tokens, 128 new ones.
    private const int SpeedPromptTokens = 12;
    private const int SpeedNewTokens = 128;

    private static readonly string[] LineModes = ["none", "keep", "trim"];

    private static readonly Dictionary<string, ZeroShotTaskKind> Kinds = new()
    {
        ["auto"] = ZeroShotTaskKind.Auto,
        ["multiple-choice"] = ZeroShotTaskKind.MultipleChoice,
        ["boolq"] = ZeroShotTaskKind.BoolQ,
        ["piqa"] = ZeroShotTaskKind.Piqa,
        ["hellaswag"] = ZeroShotTaskKind.HellaSwag,
        ["winogrande"] = ZeroShotTaskKind.Winogrande,
        ["arc"] = ZeroShotTaskKind.Arc,
        ["arc-easy"] = ZeroShotTaskKind.ArcEasy,
        ["arc-challenge"] = ZeroShotTaskKind.ArcChallenge,
        ["openbookqa"] = ZeroShotTaskKind.OpenBookQa,
    };

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string[]> taskFiles = new("--task") { Description = "A dataset's JSONL file; may be given several times.", HelpName = "PATH" };
        Option<string[]> kinds = new("--kind")
        {
            Description = "What the task's lines are: arc is arc-challenge where the file's name says so; multiple-choice is "
                + "{\"context\" or \"question\" or \"prompt\": text, \"choices\" or \"options\" or \"endings\": [texts], "
                + "\"answer\" or \"label\" or \"gold\": index from 0, or letter}, the choice after the context and one space. "
                + "Once for all tasks, or once for each. Default: auto, told by the first line.",
        };
        kinds.AcceptOnlyFromAmong([.. Kinds.Keys]);
        Option<int?> limit = OptionsOf.Int("--limit", "Items of each task, the first ones. Default: all.", 1, int.MaxValue);
        Option<bool> skipBroken = new("--skip-broken") { Description = "Leave out broken lines, and count them. Default: the first one ends the run." };
        Option<string[]> texts = new("--perplexity")
        {
            Description = "A UTF-8 text whose perplexity is measured too; may be given several times.",
            HelpName = "PATH",
        };
        Option<string[]> lines = new("--lines") { Description = PerplexityCommand.LinesDescription + " Once for all texts, or once for each. Default: none." };
        lines.AcceptOnlyFromAmong(LineModes);
        Option<int?> window = OptionsOf.Int("--window", $"Tokens per window of a text. Default: {PerplexityCommand.DefaultWindow}.", 2, int.MaxValue);
        Option<string> bos = PerplexityCommand.BosOption();
        Option<bool> speed = new("--speed") { Description = $"Measure tokens per second too: {SpeedNewTokens} after a prompt of {SpeedPromptTokens}." };
        Option<string?> report = new("--report") { Description = "Write a table of all models in Markdown, and as CSV beside it.", HelpName = "PATH.md" };
        Command command = new("evaluate", "Measures zero-shot accuracy by the likelihood of answers, and compares models.")
        {
            taskFiles, kinds, limit, skipBroken, texts, lines, window, bos, speed, report,
        };
        CommonOptions common = new(command, computes: true, measures: true, severalModels: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            // Everything that can be wrong with the files is said before the first model is loaded.
            string[] taskPaths = parsed.GetValue(taskFiles) ?? [];
            string[] textPaths = parsed.GetValue(texts) ?? [];
            if (taskPaths.Length + textPaths.Length == 0)
            {
                throw new WrongUsageException("evaluate: expected --task or --perplexity.");
            }

            string[] kindNames = OneOrEach(parsed.GetValue(kinds), taskPaths.Length, "auto", "--kind", "--task");
            string[] lineModes = OneOrEach(parsed.GetValue(lines), textPaths.Length, "none", "--lines", "--perplexity");
            string? reportPath = parsed.GetValue(report);
            if (reportPath is not null && (reportPath.Length == 0 || Path.GetExtension(reportPath).Equals(".csv", StringComparison.OrdinalIgnoreCase)))
            {
                throw new WrongUsageException($"--report: expected the name of a Markdown file, found '{reportPath}'.");
            }

            ZeroShotTask[] tasks = [.. taskPaths.Select((path, i) => ZeroShotTask.Load(
                path, new ZeroShotTaskOptions { Kind = Kinds[kindNames[i]], Limit = parsed.GetValue(limit), SkipBroken = parsed.GetValue(skipBroken) }))];
            EvaluatedText[] corpora =
                [.. textPaths.Select((path, i) => new EvaluatedText(Path.GetFileNameWithoutExtension(path), PerplexityCommand.ReadText(path, lineModes[i])))];
            RequireDifferent("--task", tasks.Select(task => task.Name));
            RequireDifferent("--perplexity", corpora.Select(text => text.Name));
            foreach (ZeroShotTask task in tasks.Where(task => task.BrokenLines > 0))
            {
                Console.Error.WriteLine($"vicuna: warning: {task.Name}: {task.BrokenLines} broken lines were left out.");
            }

            bool json = common.Json(parsed);
            List<EvaluatedModel> models = [];
            IReadOnlyList<string?> paths = common.ModelPaths(parsed);
            foreach ((string? path, string name) in paths.Zip(NamesOf(paths)))
            {
                using LanguageModel model = common.LoadFrom(path, parsed, null, cancellationToken);
                EvaluatedModel evaluated = new(name, path, model);
                foreach (EvaluatedText text in corpora)
                {
                    int size = parsed.GetValue(window) ?? PerplexityCommand.DefaultWindow;
                    IReadOnlyList<IReadOnlyList<int>> windows = PerplexityCommand.CutText(model, text.Text, size, parsed.GetValue(bos) == "every");
                    evaluated.Add(text.Name, PerplexityCommand.Measure(model, [], windows, size, cancellationToken));
                }

                foreach (ZeroShotTask task in tasks)
                {
                    evaluated.Add(ZeroShotEvaluation.Run(model, task, ProgressOf(name, task), cancellationToken));
                }

                if (parsed.GetValue(speed))
                {
                    evaluated.TokensPerSecond = MeasureSpeed(model, cancellationToken);
                }

                models.Add(evaluated);
                if (!json)
                {
                    evaluated.WriteText();
                }
            }

            string? csvPath = reportPath is null ? null : new ModelReport([.. models.Select(model => model.ToRow())]).Write(reportPath);
            if (json)
            {
                WriteJson(models, reportPath, csvPath);
            }

            return Task.CompletedTask;
        });
        return command;
    }

    // The keys of one task stand at the top, and everything under models.
    private static void WriteJson(List<EvaluatedModel> models, string? reportPath, string? csvPath) => JsonOutput.Line(json =>
    {
        if (models is [{ Tasks: [var task] }])
        {
            EvaluatedModel.WriteTask(json, task);
        }

        json.WriteStartArray("models");
        models.ForEach(model => model.WriteJson(json));
        json.WriteEndArray();
        if (reportPath is not null)
        {
            json.WriteString("report", reportPath);
            json.WriteString("csv", csvPath);
        }
    });

    private static string[] OneOrEach(string[]? values, int count, string absent, string option, string other)
    {
        values ??= [];
        return values.Length switch
        {
            0 => [.. Enumerable.Repeat(absent, count)],
            1 when count != 0 => [.. Enumerable.Repeat(values[0], count)],
            _ when values.Length == count => values,
            _ => throw new WrongUsageException($"{option}: expected one, or one for each of {count} {other}, found {values.Length}."),
        };
    }

    private static void RequireDifferent(string option, IEnumerable<string> names)
    {
        string[] twice = [.. names.CountBy(name => name).Where(pair => pair.Value > 1).Select(pair => pair.Key)];
        if (twice.Length > 0)
        {
            throw new WrongUsageException($"{option}: expected different names, found '{twice[0]}' twice.");
        }
    }

    // The folder's name where that tells models apart, else the path.
    private static IEnumerable<string> NamesOf(IReadOnlyList<string?> paths)
    {
        string[] names = [.. paths.Select(path => path is null ? "pico-vicuna" : Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))))];
        return names.Select((name, i) => names.Count(other => other == name) > 1 ? paths[i]! : name);
    }

    private static double MeasureSpeed(LanguageModel model, CancellationToken cancellationToken)
    {
        int prompt = Math.Clamp(model.ContextLength - SpeedNewTokens, 1, SpeedPromptTokens);
        SpeedTestOptions options = new() { PromptTokens = prompt, NewTokens = Math.Min(SpeedNewTokens, model.ContextLength - prompt) };
        return SpeedTest.Run(model, options, null, cancellationToken).DecodeTokensPerSecond;
    }

    private static Progress<int>? ProgressOf(string model, ZeroShotTask task) => Console.IsErrorRedirected
        ? null
        : new Progress<int>(done => Console.Error.Write(done < task.Items.Count
            ? string.Create(CultureInfo.InvariantCulture, $"\r{model}, {task.Name}: {done} of {task.Items.Count} items")
            : "\r\u001b[K"));

    private sealed record EvaluatedText(string Name, string Text);
}
