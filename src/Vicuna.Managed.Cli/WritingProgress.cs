using Spectre.Console;

namespace Vicuna.Managed.Cli;

/// <summary>A bar on standard error while a checkpoint is written, where somebody is looking.</summary>
internal static class WritingProgress
{
    /// <summary>Does the work and shows how far it has come.</summary>
    /// <param name="work">The work; it gets null where nobody is looking.</param>
    public static T Show<T>(Func<IProgress<LoadProgress>?, T> work)
    {
        if (Console.IsErrorRedirected)
        {
            return work(null);
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask("writing", maxValue: 1);
                return work(new Reporter(task));
            });
    }

    private sealed class Reporter(ProgressTask task) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            task.MaxValue = value.BytesTotal;
            task.Value = value.BytesDone;
        }
    }
}
