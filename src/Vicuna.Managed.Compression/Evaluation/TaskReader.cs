using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Vicuna.Managed.Compression.Evaluation;

/// <summary>Reads a task's JSONL file line by line.</summary>
/// <param name="file">The file's name, for messages and to tell ARC's parts apart.</param>
/// <param name="labels">PIQA's labels, or null.</param>
/// <param name="labelsFile">The name of their file, for messages.</param>
internal sealed class TaskReader(string file, ReadOnlyMemory<byte>? labels, string labelsFile)
{
    // The deepest form, question.choices[].text, is four levels.
    private static readonly JsonDocumentOptions JsonOptions = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    /// <summary>What the lines are; known once a line has been read.</summary>
    public ZeroShotTaskKind Kind { get; private set; }

    /// <summary>Lines that were left out.</summary>
    public int BrokenLines { get; private set; }

    /// <summary>Reads the items.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="kind">What the lines are, as far as the caller knows.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="skipBroken">Whether lines that are not of the form are left out.</param>
    /// <returns>One or more.</returns>
    /// <exception cref="ModelFormatException">A line is broken, the kind cannot be told, or there is no item.</exception>
    public List<ZeroShotItem> Read(ReadOnlyMemory<byte> utf8, ZeroShotTaskKind kind, int limit, bool skipBroken)
    {
        Kind = Resolve(kind);
        List<ZeroShotItem> items = [];
        List<int>? answers = null;
        int index = 0;
        foreach ((int number, ReadOnlyMemory<byte> line) in LinesOf(utf8))
        {
            try
            {
                using JsonDocument document = Parse(line, number);
                TaskLine members = new(document.RootElement, file, number);
                ZeroShotTaskKind found = Kind == ZeroShotTaskKind.Auto ? Resolve(TaskFormats.Detect(members)) : Kind;
                if (found == ZeroShotTaskKind.Piqa && !members.Has("label"))
                {
                    answers ??= LabelsOf(LinesOf(utf8).Count());
                }

                items.Add(TaskFormats.Read(found, members, answers?[index]));
                Kind = found;
            }
            catch (InvalidOperationException exception) when (!skipBroken)
            {
                // Half of a surrogate pair shows only where the string is asked for.
                throw new ModelFormatException(file, "expected strings of whole Unicode characters", $"line {number}", exception);
            }
            catch (Exception exception) when (skipBroken && IsAboutALine(exception))
            {
                BrokenLines++;
            }

            index++;
            if (items.Count == limit)
            {
                break;
            }
        }

        return items.Count > 0
            ? items
            : throw new ModelFormatException(file, $"expected one or more items, found none and {BrokenLines} broken lines", null);
    }

    // What is wrong with the labels' file is wrong with all lines.
    private bool IsAboutALine(Exception exception) =>
        exception is InvalidOperationException || (exception is ModelFormatException { FileName: { } name } && name == file);

    private static IEnumerable<(int Number, ReadOnlyMemory<byte> Line)> LinesOf(ReadOnlyMemory<byte> utf8)
    {
        if (utf8.Span.StartsWith(Encoding.UTF8.Preamble))
        {
            utf8 = utf8[Encoding.UTF8.Preamble.Length..];
        }

        for (int number = 1; utf8.Length > 0; number++)
        {
            int end = utf8.Span.IndexOf((byte)'\n');
            ReadOnlyMemory<byte> line = end < 0 ? utf8 : utf8[..end];
            utf8 = end < 0 ? default : utf8[(end + 1)..];
            if (line.Span.ContainsAnyExcept(" \t\r"u8))
            {
                yield return (number, line);
            }
        }
    }

    private JsonDocument Parse(ReadOnlyMemory<byte> line, int number)
    {
        if (!Utf8.IsValid(line.Span))
        {
            throw new ModelFormatException(file, "expected UTF-8, found other bytes", $"line {number}");
        }

        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(line, JsonOptions);
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException(
                file, $"expected a JSON object, found something else at byte {exception.BytePositionInLine}", $"line {number}", exception);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        JsonValueKind kind = document.RootElement.ValueKind;
        document.Dispose();
        throw new ModelFormatException(file, $"expected a JSON object, found {kind}", $"line {number}");
    }

    private ZeroShotTaskKind Resolve(ZeroShotTaskKind kind) => kind != ZeroShotTaskKind.Arc
        ? kind
        : Path.GetFileName(file).Contains("challenge", StringComparison.OrdinalIgnoreCase) ? ZeroShotTaskKind.ArcChallenge : ZeroShotTaskKind.ArcEasy;

    private List<int> LabelsOf(int lines)
    {
        if (labels is null)
        {
            throw new ModelFormatException(labelsFile, $"expected the labels of {file}, which has none of its own, found no file", null);
        }

        List<int> answers = [];
        foreach ((int number, ReadOnlyMemory<byte> line) in LinesOf(labels.Value))
        {
            string text = Encoding.UTF8.GetString(line.Span[..Math.Min(line.Length, 16)]).Trim();
            answers.Add(int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int label) && label is 0 or 1
                ? label
                : throw new ModelFormatException(labelsFile, $"expected 0 or 1, found '{text}'", $"line {number}"));
        }

        return answers.Count == lines
            ? answers
            : throw new ModelFormatException(labelsFile, $"expected {lines} labels, as many as {file} has lines, found {answers.Count}", null);
    }
}
