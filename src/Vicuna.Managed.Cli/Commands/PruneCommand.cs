using System.CommandLine;
using System.Globalization;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>The checkpoint without its least important blocks.</summary>
internal static class PruneCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> scores = new("--scores") { Description = "Scores of the blocks, as score writes them (or Nota's shortened-llm).", HelpName = "CSV" };
        Option<int?> count = OptionsOf.Int("--blocks", "How many of the least important blocks to remove; goes with --scores.", 1, int.MaxValue);
        Option<int?> keepFirst = OptionsOf.Int("--keep-first", "Blocks at the beginning that stay whatever their scores. Default: 4.", 0, int.MaxValue);
        Option<int?> keepLast = OptionsOf.Int("--keep-last", "Blocks at the end that stay whatever their scores. Default: 2.", 0, int.MaxValue);
        Option<int[]> remove = OptionsOf.Blocks("--remove", "The blocks to remove, numbered from 0, instead of --scores.");
        Option<string> output = new("--out")
        {
            Description = "The folder to write; it must not exist, or be empty. For a .gguf model also a new .gguf file.",
            HelpName = "DIR",
            Required = true,
        };
        Command command = new("prune", "Writes the checkpoint without some of its blocks: those with the lowest scores, or those that are named.")
        {
            scores, count, keepFirst, keepLast, remove, output,
        };
        CommonOptions common = new(command, computes: false);
        command.SetAction((parsed, cancellationToken) =>
        {
            string? scoresPath = parsed.GetValue(scores);
            int[] named = parsed.GetResult(remove) is null ? [] : parsed.GetValue(remove)!;
            if ((scoresPath is null) == (named.Length == 0) || (scoresPath is null) != (parsed.GetValue(count) is null))
            {
                throw new WrongUsageException("prune: expected either --scores with --blocks, or --remove.");
            }

            if (scoresPath is null && (parsed.GetValue(keepFirst) ?? parsed.GetValue(keepLast)) is not null)
            {
                throw new WrongUsageException("--keep-first and --keep-last: expected with --scores, found with --remove.");
            }

            using ModelFolder model = ModelFolder.Open(common.ModelPath(parsed));
            IReadOnlyList<int> removed = scoresPath is null
                ? named
                : DepthPruner.SelectFor(
                    BlockScores.Read(scoresPath),
                    LanguageModel.Inspect(model.Path).Config,
                    parsed.GetValue(count)!.Value,
                    parsed.GetValue(keepFirst) ?? 4,
                    parsed.GetValue(keepLast) ?? 2);
            PruneResult result = WritingProgress.Show(progress =>
                DepthPruner.Write(model.Path, parsed.GetValue(output)!, removed, progress, cancellationToken));
            Print(result, common.Json(parsed));
            return Task.CompletedTask;
        });
        return command;
    }

    private static void Print(PruneResult result, bool json)
    {
        if (!json)
        {
            string removed = string.Join(", ", result.Removed);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{result.Path}: {result.Kept.Count} blocks without {removed}, {result.Parameters:N0} parameters, {result.Bytes:N0} bytes"));
            return;
        }

        JsonOutput.Line(line =>
        {
            line.WriteIds("removed", result.Removed);
            line.WriteIds("kept", result.Kept);
            line.WriteNumber("parameters", result.Parameters);
            line.WriteString("path", result.Path);
            line.WriteNumber("bytes", result.Bytes);
        });
    }
}
