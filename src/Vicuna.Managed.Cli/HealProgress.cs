using Spectre.Console;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli;

/// <summary>
/// Shows how far a training is: a JSON line a step on standard output; else a bar on standard error, or a line a step there where it is a file.
/// </summary>
internal static class HealProgress
{
    /// <summary>Runs a training and shows its progress.</summary>
    public static TrainingReport Run(bool json, Func<IProgress<TrainingProgress>, TrainingReport> train)
    {
        if (json)
        {
            return train(new Listener(WriteJson));
        }

        if (Console.IsErrorRedirected)
        {
            return train(new Listener(WriteLine));
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask("training", maxValue: 1);
                return train(new Listener(progress => Show(progress, task)));
            });
    }

    private static void WriteJson(TrainingProgress progress)
    {
        if (progress.Stage != TrainingStage.Step)
        {
            return;
        }

        JsonOutput.Line(line =>
        {
            line.WriteNumber("step", progress.Step);
            line.WriteNumber("steps", progress.Steps);
            line.WriteNumber("epoch", progress.Epoch);
            line.WriteNumber("loss", progress.Loss);
            line.WriteNumber("learningRate", progress.LearningRate);
            line.WriteNumber("gradientNorm", progress.GradientNorm);
            line.WriteNumber("tokensPerSecond", progress.TokensPerSecond);
            line.WriteNumber("secondsLeft", progress.TimeLeft.TotalSeconds);
        });
    }

    private static void WriteLine(TrainingProgress progress)
    {
        if (progress.Stage == TrainingStage.Step || progress.ValidationLoss is not null)
        {
            Console.Error.WriteLine(Text(progress));
        }
    }

    private static void Show(TrainingProgress progress, ProgressTask task)
    {
        task.MaxValue = progress.Steps;
        task.Value = progress.Step;
        task.Description = Markup.Escape(Text(progress));
    }

    private static string Text(TrainingProgress progress) => progress switch
    {
        { ValidationLoss: double loss } => FormattableString.Invariant($"step {progress.Step}/{progress.Steps}: held-out loss {loss:0.0000}"),
        { Stage: TrainingStage.Validation } => FormattableString.Invariant(
            $"step {progress.Step}/{progress.Steps}: {progress.ValidationDone} of {progress.ValidationTotal} held-out samples"),
        _ => FormattableString.Invariant(
            $"step {progress.Step}/{progress.Steps}: loss {progress.Loss:0.0000}, rate {progress.LearningRate:0.0e+00}, {progress.TokensPerSecond:0} tokens/s, {Left(progress.TimeLeft)} left"),
    };

    private static string Left(TimeSpan time) => time.TotalDays >= 1
        ? FormattableString.Invariant($"{(int)time.TotalDays} d {time.Hours} h")
        : time.ToString(@"hh\:mm\:ss", System.Globalization.CultureInfo.InvariantCulture);

    private sealed class Listener(Action<TrainingProgress> show) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => show(value);
    }
}
