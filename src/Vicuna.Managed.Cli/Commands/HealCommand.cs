using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>Retrains a shortened model with LoRA.</summary>
internal static class HealCommand
{
    private const string ChartFile = "loss.svg";

    // The mean of so many losses before and with a step: what one batch or another happens to hold evens out.
    private const int SmoothedSteps = 20;

    private static readonly HealOptions Defaults = new();
    private static readonly TrainingDataOptions DataDefaults = new();

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> data = new("--data")
        {
            Description = "What to learn from: instructions (alpaca) or conversations as JSON or JSON lines, or plain text.",
            HelpName = "PATH",
            Required = true,
        };
        Option<string> output = new("--out") { Description = "The folder that the adapter is written to.", HelpName = "DIR", Required = true };
        Option<string> kind = new("--kind")
        {
            Description = "What the data is: alpaca, conversations or text; auto looks at its beginning.",
            DefaultValueFactory = _ => "auto",
        };
        kind.AcceptOnlyFromAmong("auto", "alpaca", "conversations", "text");
        Option<bool> skipBroken = new("--skip-broken") { Description = "Leave out damaged records instead of stopping at the first." };
        Option<bool> resume = new("--resume") { Description = "Go on with the training that was begun in the folder." };
        Option<int?> cutoff = OptionsOf.Int("--cutoff", $"Most tokens of a sample. Default: {DataDefaults.CutoffTokens}.", 2, int.MaxValue);
        Option<int?> rank = OptionsOf.Int("--rank", $"Rank of the adapters. Default: {Defaults.Rank}.", 1, 65_536);
        Option<double?> alpha = OptionsOf.Number("--alpha", $"Numerator of their scale, alpha / rank. Default: {Text(Defaults.Alpha)}.", 0, 1e6, leastExcluded: true);
        Option<double?> dropout = OptionsOf.Number("--dropout", $"Share of their input that is dropped. Default: {Text(Defaults.Dropout)}.", 0, 0.99);
        Option<int?> epochs = OptionsOf.Int("--epochs", $"How often all samples are seen. Default: {Defaults.Epochs}.", 1, 100_000);
        Option<double?> learningRate = OptionsOf.Number("--learning-rate", $"Highest learning rate. Default: {Text(Defaults.LearningRate)}.", 0, 1e3, leastExcluded: true);
        Option<int?> batch = OptionsOf.Int("--batch", $"Samples of a step. Default: {Defaults.BatchSize}.", 1, int.MaxValue);
        Option<int?> microBatch = OptionsOf.Int("--micro-batch", $"Samples that are computed at a time. Default: {Defaults.MicroBatchSize}.", 1, int.MaxValue);
        Option<int?> warmup = OptionsOf.Int("--warmup", $"Steps in which the learning rate rises. Default: {Defaults.WarmupSteps}.", 0, int.MaxValue);
        Option<double?> clip = OptionsOf.Number("--clip", $"Longest gradient; 0 = any. Default: {Text(Defaults.ClipNorm)}.", 0, 1e9);
        Option<int?> validation = OptionsOf.Int(
            "--validation", $"Samples held out to find the best adapter with, at most a tenth of all. Default: {Defaults.ValidationSamples}.", 0, int.MaxValue);
        Option<int?> checkpointEvery = OptionsOf.Int(
            "--checkpoint-every", $"Steps after which the state is saved, beside every ten minutes. Default: {Defaults.CheckpointEvery}.", 1, int.MaxValue);
        Option<long?> seed = OptionsOf.Long("--seed", $"Key of all random numbers. Default: {Defaults.Seed}.");
        Command command = new("heal", "Retrains a shortened model with LoRA; writes an adapter as PEFT does. Stopped with Ctrl+C it can be resumed.")
        {
            data, output, kind, skipBroken, cutoff, rank, alpha, dropout, epochs, learningRate, batch, microBatch, warmup, clip, validation, checkpointEvery, seed, resume,
        };
        CommonOptions common = new(command, computes: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            string folder = parsed.GetValue(output)!;
            HealOptions options = new()
            {
                Rank = parsed.GetValue(rank) ?? Defaults.Rank,
                Alpha = parsed.GetValue(alpha) ?? Defaults.Alpha,
                Dropout = parsed.GetValue(dropout) ?? Defaults.Dropout,
                Epochs = parsed.GetValue(epochs) ?? Defaults.Epochs,
                LearningRate = parsed.GetValue(learningRate) ?? Defaults.LearningRate,
                BatchSize = parsed.GetValue(batch) ?? Defaults.BatchSize,
                MicroBatchSize = parsed.GetValue(microBatch) ?? Defaults.MicroBatchSize,
                WarmupSteps = parsed.GetValue(warmup) ?? Defaults.WarmupSteps,
                ClipNorm = parsed.GetValue(clip) ?? Defaults.ClipNorm,
                ValidationSamples = parsed.GetValue(validation) ?? Defaults.ValidationSamples,
                CheckpointEvery = parsed.GetValue(checkpointEvery) ?? Defaults.CheckpointEvery,
                Seed = parsed.GetValue(seed) ?? Defaults.Seed,
                Resume = parsed.GetValue(resume),
            };
            using LanguageModel model = common.Load(parsed, cancellationToken);
            TrainingSet set = TrainingData.Load(
                parsed.GetValue(data)!,
                model,
                new TrainingDataOptions
                {
                    Kind = KindOf(parsed.GetValue(kind)!),
                    CutoffTokens = Math.Min(parsed.GetValue(cutoff) ?? DataDefaults.CutoffTokens, model.ContextLength),
                    SkipBroken = parsed.GetValue(skipBroken),
                },
                cancellationToken);
            Tell(set, parsed.GetValue(data)!);
            bool json = common.Json(parsed);
            TrainingReport report = HealProgress.Run(json, progress => LoraTrainer.Train(model, set.Samples, folder, options, progress, cancellationToken));
            if (options.WarmupSteps >= report.Steps)
            {
                Console.Error.WriteLine($"vicuna: warning: --warmup: expected fewer than the {report.Steps} steps of this training, found {options.WarmupSteps}: the learning rate never arrived.");
            }

            string chart = Path.Combine(folder, ChartFile);
            Draw(chart, report);
            if (json)
            {
                WriteDone(folder, chart, set, report);
            }
            else
            {
                WriteText(folder, report);
            }

            return Task.CompletedTask;
        });
        return command;
    }

    private static TrainingDataKind KindOf(string name) => name switch
    {
        "alpaca" => TrainingDataKind.Alpaca,
        "conversations" => TrainingDataKind.Conversations,
        "text" => TrainingDataKind.Text,
        _ => TrainingDataKind.Auto,
    };

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Tell(TrainingSet set, string path)
    {
        if (set.Samples.Count == 0)
        {
            throw new InvalidDataException($"{path}: expected one or more records to learn from, found {set.Records}, of which {set.Broken} are damaged and {set.WithoutTargets} have nothing to predict (a prompt as long as --cutoff, or no answer).");
        }

        if (set.Broken + set.WithoutTargets > 0)
        {
            Console.Error.WriteLine($"vicuna: warning: {path}: of {set.Records} records {set.Broken} are damaged and {set.WithoutTargets} have nothing to predict; they are left out.");
        }
    }

    private static void Draw(string path, TrainingReport report)
    {
        double[] losses = [.. report.Losses];
        (double, double)[] smoothed = [.. losses.Select((_, i) => (i + 1.0, losses[Math.Max(0, i + 1 - SmoothedSteps)..(i + 1)].Average()))];
        List<ChartSeries> series = [new("training loss", [.. losses.Select((loss, i) => (i + 1.0, loss))]) { IsBackground = true }];
        if (losses.Length > SmoothedSteps)
        {
            series.Add(new ChartSeries($"training loss, mean of {SmoothedSteps} steps", smoothed));
        }

        series.Add(new ChartSeries("held-out loss", [.. report.Validations.Select(validation => ((double)validation.Step, validation.Loss))]) { HasMarks = true });
        Charts.Lines(path, "Loss while healing", "step", "mean loss of a token, nats", series);
    }

    private static void WriteDone(string folder, string chart, TrainingSet set, TrainingReport report) => JsonOutput.Line(json =>
    {
        json.WriteBoolean("done", true);
        json.WriteString("path", folder);
        json.WriteString("chart", chart);
        json.WriteNumber("steps", report.Steps);
        json.WriteNumber("bestStep", report.BestStep);
        json.WriteNumber("resumedAtStep", report.ResumedAtStep);
        json.WriteBoolean("wasFinished", report.WasFinished);
        json.WriteNumber("trainingSamples", report.TrainingSamples);
        json.WriteNumber("validationSamples", report.ValidationSamples);
        json.WriteNumber("brokenRecords", set.Broken);
        json.WriteNumber("recordsWithoutTargets", set.WithoutTargets);
        json.WriteNumber("cutRecords", set.Cut);
        json.WriteStartArray("validations");
        foreach (ValidationLoss validation in report.Validations)
        {
            json.WriteStartObject();
            json.WriteNumber("step", validation.Step);
            json.WriteNumber("loss", validation.Loss);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("seconds", report.Elapsed.TotalSeconds);
    });

    private static void WriteText(string folder, TrainingReport report)
    {
        ValidationLoss? best = report.Validations.FirstOrDefault(validation => validation.Step == report.BestStep);
        string quality = best is null
            ? FormattableString.Invariant($"last loss {report.Losses[^1]:0.0000}")
            : FormattableString.Invariant($"held-out loss {report.Validations[0].Loss:0.0000} at step {report.Validations[0].Step}, {best.Loss:0.0000} at step {best.Step}, which is kept");
        Console.WriteLine($"{folder}: {(report.WasFinished ? "this training was finished already, " : "")}{report.Steps} steps, {quality}");
    }
}
