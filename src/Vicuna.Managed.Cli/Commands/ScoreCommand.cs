using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>How important every block of a model is.</summary>
internal static class ScoreCommand
{
    private const int DefaultSamples = 10;
    private const int DefaultLength = 128;

    private static readonly Dictionary<string, ScoreCriterion> Criteria = new(StringComparer.Ordinal)
    {
        ["taylor"] = ScoreCriterion.Taylor,
        ["magnitude"] = ScoreCriterion.Magnitude,
        ["ppl"] = ScoreCriterion.Perplexity,
        ["influence"] = ScoreCriterion.BlockInfluence,
    };

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> criterion = new("--criterion")
        {
            Description = "What is measured: taylor (weight times gradient), magnitude, ppl (perplexity without the block) or influence (how far the block turns its input).",
            Required = true,
        };
        criterion.AcceptOnlyFromAmong([.. Criteria.Keys]);
        Option<string?> calibration = new("--calibration") { Description = "A text that passages are drawn from at random.", HelpName = "PATH" };
        Option<string?> idsFile = new("--ids-file") { Description = "Token ids to measure on: a JSON array of arrays, a row a sample.", HelpName = "PATH" };
        Option<int?> samples = OptionsOf.Int("--samples", $"Passages; of --ids-file the first so many rows. Default: {DefaultSamples}, of --ids-file all.", 1, int.MaxValue);
        Option<int?> length = OptionsOf.Int("--length", $"Tokens of a passage; rows of --ids-file are cut to it. Default: {DefaultLength}, of --ids-file all.", 3, int.MaxValue);
        Option<long?> seed = OptionsOf.Long("--seed", "Chooses the passages. Default: 0.");
        Option<string> output = new("--out")
        {
            Description = "The file of scores; beside it NAME_order.csv, NAME_weights.csv and the chart NAME.svg. Interrupted, the same command goes on from NAME.partial.",
            HelpName = "CSV",
            Required = true,
        };
        Command command = new("score", "Measures how important every block is; the lowest scores are the first to cut.")
        {
            criterion, calibration, idsFile, samples, length, seed, output,
        };
        CommonOptions common = new(command, computes: true, measures: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            ScoreCriterion chosen = Criteria[parsed.GetValue(criterion)!];
            string? text = parsed.GetValue(calibration);
            string? ids = parsed.GetValue(idsFile);
            if (chosen == ScoreCriterion.Magnitude ? text is not null && ids is not null : text is null == ids is null)
            {
                throw new WrongUsageException("score: expected one of --calibration and --ids-file.");
            }

            string path = parsed.GetValue(output)!;
            using LanguageModel model = common.Load(parsed, cancellationToken);
            IReadOnlyList<IReadOnlyList<int>> rows = chosen == ScoreCriterion.Magnitude ? []
                : ids is not null ? [.. InputFiles.ReadIds(ids).Take(parsed.GetValue(samples) ?? int.MaxValue).Select(row => row.Take(parsed.GetValue(length) ?? int.MaxValue).ToArray())]
                : CalibrationData.Draw(
                    InputFiles.ReadText(text!), model.Tokenizer, parsed.GetValue(samples) ?? DefaultSamples, parsed.GetValue(length) ?? DefaultLength, parsed.GetValue(seed) ?? 0);
            long start = Stopwatch.GetTimestamp();
            ScoreOptions options = new() { ProgressFile = Path.ChangeExtension(path, ".partial") };
            BlockScores scores = ScoringProgress.Show(progress => BlockScorer.Score(model, chosen, rows, options, progress, cancellationToken));
            scores.Write(path);
            Draw(Path.ChangeExtension(path, ".svg"), parsed.GetValue(criterion)!, scores);
            Print(scores, parsed.GetValue(criterion)!, path, Stopwatch.GetElapsedTime(start), common.Json(parsed));
            return Task.CompletedTask;
        });
        return command;
    }

    // The first quarter of the order stands out among those that a cut may take.
    private static void Draw(string path, string criterion, BlockScores scores)
    {
        int[] candidates = [.. scores.Order.Where(block => block >= 4 && block < scores.Blocks.Count - 2)];
        Charts.Bars(
            path, $"Score of every block ({criterion}); the lowest, which a cut would take first, stand out", "block", "score",
            [.. Enumerable.Range(0, scores.Blocks.Count).Select(block => block.ToString(CultureInfo.InvariantCulture))], scores.Blocks, candidates[..(candidates.Length / 4)]);
    }

    private static void Print(BlockScores scores, string criterion, string path, TimeSpan elapsed, bool json)
    {
        if (!json)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{path}: {scores.Blocks.Count} blocks by {criterion} in {elapsed.TotalSeconds:0.0} s; least important first: {string.Join(", ", scores.Order)}"));
            return;
        }

        JsonOutput.Line(line =>
        {
            line.WriteString("criterion", criterion);
            line.WriteStartArray("blocks");
            foreach (double score in scores.Blocks)
            {
                line.WriteNumberValue(score);
            }

            line.WriteEndArray();
            line.WriteStartObject("weights");
            foreach ((string name, double score) in scores.Weights)
            {
                line.WriteNumber(name, score);
            }

            line.WriteEndObject();
            line.WriteIds("order", scores.Order);
            line.WriteNumber("seconds", elapsed.TotalSeconds);
            line.WriteString("path", path);
        });
    }
}
