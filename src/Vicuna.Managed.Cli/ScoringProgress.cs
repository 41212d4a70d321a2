using System.Globalization;
using Spectre.Console;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli;

/// <summary>A bar on standard error while blocks are scored, or a line a block where standard error is a file.</summary>
internal static class ScoringProgress
{
    /// <summary>Does the work and shows how far it has come.</summary>
    public static BlockScores Show(Func<IProgress<ScoreProgress>, BlockScores> work)
    {
        if (Console.IsErrorRedirected)
        {
            return work(new Listener(progress => Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{progress.Fraction:P0} {Text(progress)}"))));
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask("scoring", maxValue: 1);
                return work(new Listener(progress =>
                {
                    task.Value = progress.Fraction;
                    task.Description = Markup.Escape(Text(progress));
                }));
            });
    }

    private static string Text(ScoreProgress progress)
    {
        string left = progress.Remaining is { } remaining ? string.Create(CultureInfo.InvariantCulture, $", {(int)remaining.TotalMinutes}:{remaining.Seconds:00} left") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{progress.Step} {progress.Block}{left}");
    }

    private sealed class Listener(Action<ScoreProgress> report) : IProgress<ScoreProgress>
    {
        public void Report(ScoreProgress value) => report(value);
    }
}
