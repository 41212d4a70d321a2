using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Vicuna.Managed.Compression.Scores;

/// <summary>
/// Reads CSV files of block scores, by whoever they were written. Nothing is quoted in them: a quotation mark is an error like any other.
/// </summary>
internal sealed class ScoreFileReader
{
    private const int MaxLines = 1 << 18;
    private const int MaxColumns = 16;
    private const int MaxShown = 40;

    private readonly string _fileName;
    private readonly List<(int Number, string Text)> _lines = [];

    private ScoreFileReader(string text, string fileName)
    {
        _fileName = fileName;
        int number = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (++number > MaxLines)
            {
                throw Wrong(number, $"expected at most {MaxLines} lines, found more");
            }

            if (!line.IsWhiteSpace())
            {
                _lines.Add((number, line.ToString()));
            }
        }
    }

    /// <summary>Reads a file.</summary>
    /// <param name="utf8">The file's bytes; a byte order mark may stand first.</param>
    /// <param name="fileName">Its name, for messages.</param>
    /// <exception cref="ModelFormatException">The file is damaged or something else.</exception>
    public static ScoreTable Read(ReadOnlySpan<byte> utf8, string fileName)
    {
        ReadOnlySpan<byte> text = utf8.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;
        if (!Utf8.IsValid(text))
        {
            throw new ModelFormatException(fileName, $"expected {utf8.Length} bytes of UTF-8 text, found other bytes", item: null);
        }

        ScoreFileReader reader = new(Encoding.UTF8.GetString(text), fileName);
        if (reader._lines.Count == 0)
        {
            throw new ModelFormatException(fileName, "expected a CSV file of block scores, found no text", item: null);
        }

        string[] header = [.. reader._lines[0].Text.Split(',', MaxColumns + 1).Select(name => name.Trim())];
        return header switch
        {
            ["block_name", "block_score"] => reader.ReadBlocks(),
            ["removed_block", ..] => reader.ReadPerplexities(header),
            _ when header[0].Length > 0 && char.IsAsciiDigit(header[0][0]) => reader.ReadOrder(),
            _ => throw reader.Wrong(
                reader._lines[0].Number, $"expected a header block_name,block_score or removed_block,ppl,... or block numbers, found {Shown(reader._lines[0].Text)}"),
        };
    }

    private ScoreTable ReadBlocks()
    {
        Dictionary<int, double> blocks = [];
        List<KeyValuePair<string, double>> weights = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach ((int line, string text) in _lines.Skip(1))
        {
            string[] fields = Fields(line, text, 2);
            double score = Number(line, fields[1]);
            if (!names.Add(fields[0]))
            {
                throw Wrong(line, $"expected every name once, found {Shown(fields[0])} again");
            }

            if (fields[0].StartsWith(ScoreFileWriter.BlockPrefix, StringComparison.Ordinal))
            {
                Add(blocks, line, fields[0][ScoreFileWriter.BlockPrefix.Length..], score);
            }
            else if (fields[0].Length > 0 && !fields[0].Contains('"') && double.IsFinite(score))
            {
                weights.Add(new(fields[0], score));
            }
            else
            {
                throw Wrong(line, $"expected a name and a finite score, found {Shown(text)}");
            }
        }

        return new ScoreTable(false, InOrder(blocks), weights);
    }

    private ScoreTable ReadPerplexities(string[] header)
    {
        int perplexity = Array.FindIndex(header, name => name.StartsWith("ppl", StringComparison.Ordinal));
        int samples = Array.IndexOf(header, "num_calib_data");
        int parameters = Array.IndexOf(header, "params");
        if (perplexity < 0 || header.Length > MaxColumns)
        {
            throw Wrong(_lines[0].Number, $"expected removed_block and a column that begins with ppl among at most {MaxColumns}, found {Shown(_lines[0].Text)}");
        }

        Dictionary<int, double> blocks = [];
        long? sampleCount = null;
        long? parameterCount = null;
        foreach ((int line, string text) in _lines.Skip(1))
        {
            string[] fields = Fields(line, text, header.Length);
            Add(blocks, line, fields[0], Number(line, fields[perplexity]));
            sampleCount = Count(line, fields, samples, int.MaxValue) ?? sampleCount;
            parameterCount = Count(line, fields, parameters, long.MaxValue) ?? parameterCount;
        }

        return new ScoreTable(true, InOrder(blocks), []) { Samples = (int?)sampleCount, ParametersWithoutOne = parameterCount };
    }

    private ScoreTable ReadOrder()
    {
        if (_lines.Count > 1)
        {
            throw Wrong(_lines[1].Number, $"expected one line of block numbers, found {_lines.Count}");
        }

        // Enough fields for every block, and one more that tells of too many.
        Dictionary<int, double> ranks = [];
        foreach (string field in _lines[0].Text.Split(',', ScoreTable.MaxBlocks + 1))
        {
            Add(ranks, _lines[0].Number, field, ranks.Count);
        }

        return new ScoreTable(false, InOrder(ranks), []);
    }

    private string[] Fields(int line, string text, int count)
    {
        string[] fields = text.Split(',', MaxColumns + 1, StringSplitOptions.TrimEntries);
        return fields.Length == count ? fields : throw Wrong(line, $"expected {count} fields, found {fields.Length}: {Shown(text)}");
    }

    private void Add(Dictionary<int, double> blocks, int line, string field, double score)
    {
        // pandas makes 25.0 of a whole number where a column was one of floats.
        if (!double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            || !(number >= 0 && number < ScoreTable.MaxBlocks) || !double.IsInteger(number))
        {
            throw Wrong(line, $"expected a block number from 0 to {ScoreTable.MaxBlocks - 1}, found {Shown(field)}");
        }

        if (!blocks.TryAdd((int)number, score))
        {
            throw Wrong(line, $"expected every block once, found {(int)number} again");
        }
    }

    private double[] InOrder(Dictionary<int, double> blocks)
    {
        double[] scores = new double[blocks.Count];
        for (int block = 0; block < scores.Length; block++)
        {
            scores[block] = blocks.TryGetValue(block, out double score)
                ? score
                : throw new ModelFormatException(_fileName, $"expected blocks 0 to {blocks.Keys.Max()}, found no block {block}", item: null);
        }

        return scores.Length > 0 ? scores : throw new ModelFormatException(_fileName, "expected at least one block, found none", item: null);
    }

    private double Number(int line, string field) =>
        field is "inf" ? double.PositiveInfinity
        : double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) ? number
        : throw Wrong(line, $"expected a number, found {Shown(field)}");

    // An empty field is a number that nobody knew.
    private long? Count(int line, string[] fields, int column, long most) =>
        column < 0 || fields[column].Length == 0 ? null
        : double.TryParse(fields[column], NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && number >= 0 && number <= Math.Min(most, 1L << 53) && double.IsInteger(number) ? (long)number
        : throw Wrong(line, $"expected a whole number of at most {Math.Min(most, 1L << 53)}, found {Shown(fields[column])}");

    private static string Shown(string text) => ModelFormatException.Quote(text.Length > MaxShown ? string.Concat(text.AsSpan(0, MaxShown), "...") : text);

    private ModelFormatException Wrong(int line, string problem) => new(_fileName, problem, string.Create(CultureInfo.InvariantCulture, $"line {line}"));
}
