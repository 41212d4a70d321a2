using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Vicuna.Managed.LoadTest;

/// <summary>Figures and checks: printed as Markdown while they come, kept for a JSON file.</summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly JsonObject _json;
    private readonly JsonArray _rows = [];
    private readonly JsonArray _checks = [];
    private int _failed;

    /// <summary>Begins.</summary>
    public Report(string mode, LoadServer server)
    {
        _json = new JsonObject
        {
            ["mode"] = mode,
            ["model"] = server.Model,
            ["contextLength"] = server.ContextLength,
            ["processors"] = Environment.ProcessorCount,
            ["started"] = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            ["rows"] = _rows,
            ["checks"] = _checks,
        };
        Console.WriteLine($"# {mode}: {server.Model}, context of {server.ContextLength} tokens, {Environment.ProcessorCount} processors\n");
    }

    /// <summary>A line of the table; the first one's names are its head.</summary>
    /// <param name="cells">Name, value and how it is printed; numbers that are not known are NaN.</param>
    public void Row(params IReadOnlyList<(string Name, object Value, string Format)> cells)
    {
        if (_rows.Count == 0)
        {
            Console.WriteLine($"| {string.Join(" | ", cells.Select(cell => cell.Name))} |");
            Console.WriteLine($"|{string.Concat(cells.Select(_ => "---|"))}");
        }

        JsonObject row = [];
        foreach ((string name, object value, _) in cells)
        {
            row[name] = value switch
            {
                int number => JsonValue.Create(number),
                double number => double.IsNaN(number) ? null : JsonValue.Create(number),
                _ => JsonValue.Create(value.ToString()),
            };
        }

        _rows.Add((JsonNode)row);
        Console.WriteLine($"| {string.Join(" | ", cells.Select(cell => Print(cell.Value, cell.Format)))} |");
    }

    /// <summary>Something that must hold.</summary>
    public void Check(string name, bool holds, string found)
    {
        _failed += holds ? 0 : 1;
        _checks.Add((JsonNode)new JsonObject { ["name"] = name, ["holds"] = holds, ["found"] = found });
    }

    /// <summary>Prints the checks and writes the file.</summary>
    /// <returns>The exit code: 0 where everything held.</returns>
    public int End(FileInfo? file)
    {
        Console.WriteLine();
        foreach (JsonNode? check in _checks)
        {
            Console.WriteLine($"- {((bool)check!["holds"]! ? "holds" : "FAILED")}: {check["name"]} ({check["found"]})");
        }

        if (file is not null)
        {
            File.WriteAllText(file.FullName, _json.ToJsonString(Indented) + "\n");
        }

        return _failed == 0 ? 0 : 1;
    }

    private static string Print(object value, string format) => value is IFormattable number && value is not double.NaN
        ? number.ToString(format, CultureInfo.InvariantCulture)
        : value is double ? "-" : value.ToString()!;
}
