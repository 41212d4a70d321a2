using System.CommandLine;
using Vicuna.Managed.Cli.Commands;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli;

/// <summary>The <c>vicuna</c> tool. Results go to standard output, everything for people beside them to standard error.</summary>
internal static class Program
{
    private const int Done = 0;
    private const int Failed = 1;
    private const int WrongCommandLine = 2;
    private const int Interrupted = 130;

    private static async Task<int> Main(string[] arguments)
    {
        using CancellationTokenSource interrupt = new();
        Console.CancelKeyPress += (_, signal) =>
        {
            // The first Ctrl+C stops the work cleanly, a second one ends the process.
            signal.Cancel = !interrupt.IsCancellationRequested;
            interrupt.Cancel();
        };

        RootCommand root = new("Runs Llama-family language models on the CPU. Without --model the small embedded model pico-vicuna is used.")
        {
            InspectCommand.Create(),
            TokenizeCommand.Create(),
            DetokenizeCommand.Create(),
            LogitsCommand.Create(),
            GenerateCommand.Create(),
            ChatCommand.Create(),
            PerplexityCommand.Create(),
            EvaluateCommand.Create(),
            BenchCommand.Create(),
            SynthCommand.Create(),
            ScoreCommand.Create(),
            ConvertCommand.Create(),
            PruneCommand.Create(),
            HealCommand.Create(),
            MergeCommand.Create(),
            ServeCommand.Create(),
        };
        root.Directives.Clear();

        // A prompt that begins with @ is a prompt, not the name of a file with arguments.
        ParseResult parsed = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
            {
                Console.Error.WriteLine($"vicuna: {OneLine(error.Message)}");
            }

            Console.Error.WriteLine($"vicuna: see 'vicuna {string.Join(' ', CommandPath(parsed).Append("--help"))}'.");
            return WrongCommandLine;
        }

        try
        {
            InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            await parsed.InvokeAsync(configuration, interrupt.Token).ConfigureAwait(false);
            return Done;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("vicuna: interrupted.");
            return Interrupted;
        }
        catch (WrongUsageException exception)
        {
            Console.Error.WriteLine($"vicuna: {OneLine(exception.Message)}");
            return WrongCommandLine;
        }
        catch (Exception exception) when (IsExpected(exception))
        {
            Console.Error.WriteLine($"vicuna: {OneLine(exception.Message)}");
            return Failed;
        }
        catch (Exception exception)
        {
            Console.Error.WriteLine($"vicuna: unexpected error, please report it: {exception.GetType().Name}: {OneLine(exception.Message)}");
            return Failed;
        }
    }

    private static IEnumerable<string> CommandPath(ParseResult parsed) => parsed.CommandResult.Command is RootCommand ? [] : [parsed.CommandResult.Command.Name];

    private static bool IsExpected(Exception exception) =>
        exception is ModelFormatException or IOException or UnauthorizedAccessException or ArgumentException or ContextLengthExceededException
            or NonFiniteLogitsException or TrainingFailedException or InvalidDataException or PlatformNotSupportedException or OutOfMemoryException;

    // .NET appends the parameter's name and the actual value to argument errors; the messages name both already.
    private static string OneLine(string message)
    {
        int end = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return (end > 0 ? message[..end] : message).ReplaceLineEndings(" ").Trim();
    }
}
