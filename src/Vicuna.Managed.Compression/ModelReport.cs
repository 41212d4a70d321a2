using System.Globalization;
using System.Text;

namespace Vicuna.Managed.Compression;

/// <summary>
/// Models side by side, for example a parent, what was cut from it, and that healed: size, perplexity by corpus, accuracy by task and their mean, speed.
/// Columns stand in the order in which rows first have them; a row has no mean unless it has all the tasks.
/// </summary>
public sealed class ModelReport
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly string[] _corpora;
    private readonly string[] _tasks;
    private readonly bool _hasSpeed;

    /// <summary>Makes a report.</summary>
    /// <param name="rows">The models, one or more.</param>
    /// <exception cref="ArgumentException">There is no row, or a row has two values of one name.</exception>
    public ModelReport(IReadOnlyList<ModelReportRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
        {
            throw new ArgumentException("Expected one or more rows, found none.", nameof(rows));
        }

        foreach (ModelReportRow row in rows)
        {
            foreach (IReadOnlyList<ModelReportValue> values in new[] { row.Perplexities, row.Accuracies })
            {
                if (values.CountBy(value => value.Name).FirstOrDefault(pair => pair.Value > 1) is { Key: { } name })
                {
                    throw new ArgumentException($"Row '{row.Name}': expected names once each, found '{name}' twice.", nameof(rows));
                }
            }
        }

        Rows = [.. rows];
        _corpora = [.. rows.SelectMany(row => row.Perplexities).Select(value => value.Name).Distinct()];
        _tasks = [.. rows.SelectMany(row => row.Accuracies).Select(value => value.Name).Distinct()];
        _hasSpeed = rows.Any(row => row.TokensPerSecond is not null);
    }

    /// <summary>The models.</summary>
    public IReadOnlyList<ModelReportRow> Rows { get; }

    /// <summary>The mean of a row's accuracies, 0 to 1; null where there are none or the row lacks a task that another has.</summary>
    public double? MeanAccuracy(ModelReportRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return row.Accuracies.Count > 0 && row.Accuracies.Count == _tasks.Length ? row.Accuracies.Average(value => value.Value) : null;
    }

    /// <summary>The report as a table in Markdown, for people: accuracies in percent with two digits.</summary>
    public string ToMarkdown()
    {
        StringBuilder text = new();
        string[] heads = Heads();
        Line(heads);
        Line(heads.Select((_, column) => column == 0 ? "---" : "---:"));
        foreach (ModelReportRow row in Rows)
        {
            Line(Cells(row, whole: "N0", perplexity: "0.00", percent: "0.00", speed: "0.0").Select(cell => cell.Length > 0 ? cell : "–"));
        }

        return text.ToString();

        void Line(IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells.Select(Escape)).Append(" |\n");
    }

    /// <summary>The report as comma-separated values (RFC 4180, line feeds), for programs: numbers with all their digits, accuracies in percent.</summary>
    public string ToCsv()
    {
        StringBuilder text = new();
        text.AppendJoin(',', Heads().Select(Quote)).Append('\n');
        foreach (ModelReportRow row in Rows)
        {
            text.AppendJoin(',', Cells(row, whole: "0", perplexity: "R", percent: "R", speed: "R").Select(Quote)).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Writes the report as Markdown, and as CSV beside it. Each file has its name only when it is whole.</summary>
    /// <param name="markdownPath">Path of the Markdown file, which may exist; the other one ends in <c>.csv</c> instead.</param>
    /// <returns>The path of the CSV file.</returns>
    /// <exception cref="ArgumentException">The path ends in <c>.csv</c> itself.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public string Write(string markdownPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(markdownPath);
        string csvPath = Path.ChangeExtension(markdownPath, ".csv");
        if (csvPath.Equals(markdownPath, StringComparison.OrdinalIgnoreCase))
        {
            throw new ArgumentException($"{markdownPath}: expected the name of the Markdown file, found one that ends in .csv.", nameof(markdownPath));
        }

        (string Path, string Temporary, string Text)[] files = [File(markdownPath, ToMarkdown()), File(csvPath, ToCsv())];
        try
        {
            foreach ((_, string temporary, string content) in files)
            {
                System.IO.File.WriteAllText(temporary, content, Utf8);
            }

            foreach ((string path, string temporary, _) in files)
            {
                System.IO.File.Move(temporary, path, overwrite: true);
            }
        }
        finally
        {
            foreach ((_, string temporary, _) in files)
            {
                System.IO.File.Delete(temporary);
            }
        }

        return csvPath;

        static (string, string, string) File(string path, string text) => (path, $"{path}.{Path.GetRandomFileName()}.tmp", text);
    }

    private static string Escape(string cell) => cell.ReplaceLineEndings(" ").Replace("|", "\\|", StringComparison.Ordinal);

    private static string Quote(string cell) => cell.AsSpan().ContainsAny("\",\r\n") ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : cell;

    private static string Format(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? string.Empty;

    private static double? Find(IReadOnlyList<ModelReportValue> values, string name) => values.FirstOrDefault(value => value.Name == name)?.Value;

    private string[] Heads() =>
    [
        "model", "parameters", "blocks",
        .. _corpora.Select(name => $"{name} ppl"),
        .. _tasks.Select(name => $"{name} %"),
        .. _tasks.Length > 0 ? ["mean %"] : Array.Empty<string>(),
        .. _hasSpeed ? ["tokens/s"] : Array.Empty<string>(),
    ];

    // Empty where there is no value.
    private string[] Cells(ModelReportRow row, string whole, string perplexity, string percent, string speed) =>
    [
        row.Name, row.Parameters.ToString(whole, CultureInfo.InvariantCulture), row.Blocks.ToString(CultureInfo.InvariantCulture),
        .. _corpora.Select(name => Format(Find(row.Perplexities, name), perplexity)),
        .. _tasks.Select(name => Format(100 * Find(row.Accuracies, name), percent)),
        .. _tasks.Length > 0 ? [Format(100 * MeanAccuracy(row), percent)] : Array.Empty<string>(),
        .. _hasSpeed ? [Format(row.TokensPerSecond, speed)] : Array.Empty<string>(),
    ];
}
