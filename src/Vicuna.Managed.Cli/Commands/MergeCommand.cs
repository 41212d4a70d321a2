using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>The checkpoint with adapters in its weights.</summary>
internal static class MergeCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string[]> adapters = new("--adapter")
        {
            Description = "A LoRA adapter's folder; may be given several times, and then they add up.",
            HelpName = "DIR",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
            Required = true,
        };
        Option<string> output = new("--out") { Description = "The folder to write; it must not exist, or be empty.", HelpName = "DIR", Required = true };
        Command command = new("merge", "Folds LoRA adapters into the weights and writes the checkpoint, in safetensors.") { adapters, output };
        CommonOptions common = new(command, computes: false);
        command.SetAction((parsed, cancellationToken) =>
        {
            string[] folders = parsed.GetValue(adapters)!;
            if (folders.Contains(string.Empty))
            {
                throw new WrongUsageException("--adapter: expected a path, found an empty string.");
            }

            using ModelFolder model = ModelFolder.Open(common.ModelPath(parsed));
            string folder = parsed.GetValue(output)!;
            MergeResult result = WritingProgress.Show(progress => AdapterMerge.Write(model.Path, folders, folder, progress, cancellationToken));
            if (common.Json(parsed))
            {
                JsonOutput.Line(line =>
                {
                    line.WriteString("path", result.Path);
                    line.WriteNumber("bytes", result.Bytes);
                    line.WriteNumber("matrices", result.Matrices);
                });
            }
            else
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"{result.Path}: {result.Matrices:N0} matrices changed, {result.Bytes:N0} bytes"));
            }

            return Task.CompletedTask;
        });
        return command;
    }
}
