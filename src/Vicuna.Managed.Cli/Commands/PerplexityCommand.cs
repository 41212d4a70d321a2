using System.CommandLine;
using System.Globalization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>How well a model predicts a text.</summary>
internal static class PerplexityCommand
{
    private const int DefaultWindow = 128;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> file = new("--file") { Description = "A UTF-8 text; it is cut into windows and the rest is dropped.", HelpName = "PATH" };
        Option<string?> idsFile = new("--ids-file")
        {
            Description = "A JSON array of arrays of token ids, a row a sample: each row is cut into windows of its own; a row shorter than a window is one as it is.",
            HelpName = "PATH",
        };
        Option<int?> window = OptionsOf.Int("--window", $"Tokens per window. Default: {DefaultWindow}.", 2, int.MaxValue);
        Option<string> bos = new("--bos") { Description = "With --file: the beginning-of-sequence id stands first, or in front of every window.", DefaultValueFactory = _ => "first" };
        bos.AcceptOnlyFromAmong("first", "every");
        Command command = new("perplexity", "Measures how well the model predicts a text.") { file, idsFile, window, bos };
        AdapterOptions adapters = new(command);
        CommonOptions common = new(command, computes: true, measures: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            if (parsed.GetValue(file) is null == parsed.GetValue(idsFile) is null)
            {
                throw new WrongUsageException("perplexity: expected either --file or --ids-file.");
            }

            int size = parsed.GetValue(window) ?? DefaultWindow;
            using LanguageModel model = common.Load(parsed, cancellationToken);
            IReadOnlyList<IReadOnlyList<int>> windows = parsed.GetValue(file) is { } textFile
                ? CutText(model, InputFiles.ReadText(textFile), size, parsed.GetValue(bos) == "every")
                : [.. InputFiles.ReadIds(parsed.GetValue(idsFile)!).SelectMany(row => CutRow(row, size))];
            if (windows.All(ids => ids.Count < 2))
            {
                throw new InvalidDataException($"perplexity: expected text of at least one window of {size} tokens, found less.");
            }

            PerplexityResult result = Perplexity.MeasureWithAdapters(
                model, adapters.Load(parsed, model) ?? [], windows, ProgressOf(windows.Count), cancellationToken);
            if (common.Json(parsed))
            {
                JsonOutput.Line(json =>
                {
                    json.WriteNumber("perplexity", result.Perplexity);
                    json.WriteNumber("nll", result.MeanNegativeLogLikelihood);
                    json.WriteNumber("tokens", result.Tokens);
                    json.WriteNumber("windows", result.Windows);
                });
            }
            else
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"perplexity {result.Perplexity:0.0000} (mean NLL {result.MeanNegativeLogLikelihood:0.000000} nats over {result.Tokens} tokens in {result.Windows} windows)"));
            }

            return Task.CompletedTask;
        });
        return command;
    }

    private static IReadOnlyList<IReadOnlyList<int>> CutText(LanguageModel model, string text, int window, bool every)
    {
        int bosId = model.Tokenizer.BosId ?? throw new ModelFormatException("The tokenizer has no beginning-of-sequence id; give ids with --ids-file.");
        return Perplexity.Cut(model.Tokenizer.Encode(text, addBos: false), window, bosId, every);
    }

    private static IEnumerable<int[]> CutRow(int[] row, int window) => row.Length <= window ? [row] : row.Chunk(window).Where(chunk => chunk.Length == window);

    // A line that is written over, where a person looks at it.
    private static Progress<int>? ProgressOf(int windows) => Console.IsErrorRedirected
        ? null
        : new Progress<int>(done => Console.Error.Write(done < windows ? $"\r{done} of {windows} windows" : "\r\u001b[K"));
}
