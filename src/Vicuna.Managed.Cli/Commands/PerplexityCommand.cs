using System.CommandLine;
using System.Globalization;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>How well a model predicts a text.</summary>
internal static class PerplexityCommand
{
    /// <summary>Tokens of a window, where it is not said.</summary>
    public const int DefaultWindow = 128;

    /// <summary>What <c>--lines</c> does.</summary>
    public const string LinesDescription =
        "How a text file is read: none as it is; keep and trim for a corpus published as lines, which are joined by blank lines as Nota's code "
        + "joins the rows of the dataset: keep for WikiText-2's wiki.test.raw (lines keep their ends), trim for the Penn Treebank's "
        + "ptb.valid.txt (lines without whitespace at both ends).";

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
        Option<string> bos = BosOption();
        Option<string> lines = new("--lines")
        {
            Description = LinesDescription + " Without a value: keep.",
            DefaultValueFactory = _ => "none",
            Arity = ArgumentArity.ZeroOrOne,
        };
        lines.AcceptOnlyFromAmong("none", "keep", "trim");
        Command command = new("perplexity", "Measures how well the model predicts a text.") { file, idsFile, window, bos, lines };
        AdapterOptions adapters = new(command);
        CommonOptions common = new(command, computes: true, measures: true);
        command.SetAction((parsed, cancellationToken) =>
        {
            if (parsed.GetValue(file) is null == parsed.GetValue(idsFile) is null)
            {
                throw new WrongUsageException("perplexity: expected either --file or --ids-file.");
            }

            int size = parsed.GetValue(window) ?? DefaultWindow;
            string rows = parsed.GetResult(lines) is { Tokens.Count: 0, Implicit: false } ? "keep" : parsed.GetValue(lines)!;
            string? text = parsed.GetValue(file) is { } textFile ? ReadText(textFile, rows) : null;
            using LanguageModel model = common.Load(parsed, cancellationToken);
            IReadOnlyList<IReadOnlyList<int>> windows = text is not null
                ? CutText(model, text, size, parsed.GetValue(bos) == "every")
                : [.. InputFiles.ReadIds(parsed.GetValue(idsFile)!).SelectMany(row => CutRow(row, size))];
            PerplexityResult result = Measure(model, adapters.Load(parsed, model) ?? [], windows, size, cancellationToken);
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

    /// <summary>Where the beginning-of-sequence id stands.</summary>
    public static Option<string> BosOption()
    {
        Option<string> bos = new("--bos")
        {
            Description = "In a text file: the beginning-of-sequence id stands once, first, and counts as a token of the first window; or in front of "
                + "every window, beside its tokens. A window's first id is not predicted: of 128 tokens 127 are with first, and all with every.",
            DefaultValueFactory = _ => "first",
        };
        bos.AcceptOnlyFromAmong("first", "every");
        return bos;
    }

    /// <summary>Reads a text file.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="lines">none, keep or trim.</param>
    public static string ReadText(string path, string lines) =>
        lines == "none" ? InputFiles.ReadText(path) : Perplexity.JoinLines(InputFiles.ReadText(path), trim: lines == "trim");

    /// <summary>Measures windows.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public static PerplexityResult Measure(
        LanguageModel model, IReadOnlyList<LoraAdapter> adapters, IReadOnlyList<IReadOnlyList<int>> windows, int size, CancellationToken cancellationToken) =>
        windows.Any(ids => ids.Count > 1)
            ? Perplexity.MeasureWithAdapters(model, adapters, windows, ProgressOf(windows.Count), cancellationToken)
            : throw new InvalidDataException($"perplexity: expected text of at least one window of {size} tokens, found less.");

    /// <summary>Cuts a text into windows of tokens.</summary>
    public static IReadOnlyList<IReadOnlyList<int>> CutText(LanguageModel model, string text, int window, bool every)
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
