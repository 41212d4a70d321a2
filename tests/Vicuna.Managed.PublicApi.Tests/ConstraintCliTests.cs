using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>Answers of a given form, and log-probabilities, through the built executable.</summary>
public sealed class ConstraintCliTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Answers_HaveTheFormThatWasAskedFor()
    {
        string schema = _folder.Write("schema.json", """{"type":"object","properties":{"sum":{"type":"integer","minimum":0,"maximum":99}},"required":["sum"],"additionalProperties":false}""");
        JsonElement answer = Json(Text(Chat("--json-schema", schema)));
        Assert.InRange(answer.GetProperty("sum").GetInt32(), 0, 99);
        Assert.StartsWith("{", Text(Chat("--json-object", "--max-new-tokens", "8")), StringComparison.Ordinal);
        Assert.Matches("^[0-9]{3}$", Text(Chat("--regex", "[0-9]{3}")));
        Assert.Contains(Text(Chat("--choice", "yes", "--choice", "no")), new[] { "yes", "no" });

        JsonElement told = Chat("--log-probabilities", "2").GetProperty("logProbabilities");
        JsonElement ids = Chat().GetProperty("ids");
        Assert.Equal(ids.GetArrayLength(), told.GetArrayLength());
        Assert.All(told.EnumerateArray().Zip(ids.EnumerateArray()), pair =>
        {
            Assert.Equal(pair.Second.GetInt32(), pair.First.GetProperty("id").GetInt32());
            Assert.InRange(pair.First.GetProperty("logProbability").GetDouble(), -1000, 0);
            Assert.Equal(2, pair.First.GetProperty("top").GetArrayLength());
        });
        Assert.False(Chat().TryGetProperty("logProbabilities", out _));
    }

    [Fact]
    public void WrongForms_EndWithOneLine()
    {
        string bad = _folder.Write("bad.json", """{"type":"object","properties":{"a":{"type":"text"}}}""");
        foreach ((int exitCode, string word, string[] arguments) in new (int, string, string[])[]
        {
            (1, "#/properties/a", ["--json-schema", bad]),
            (1, "none.json", ["--json-schema", _folder.File("none.json")]),
            (1, "at character 0", ["--regex", "(a"]),
            (1, "Choice 0 is empty", ["--choice", ""]),
            (2, "at most one of", ["--json-object", "--regex", "a"]),
            (2, "at most one of", ["--json-schema", bad, "--choice", "a"]),
            (2, "--log-probabilities", ["--log-probabilities", "101"]),
        })
        {
            Tool.Outcome outcome = Tool.Vicuna(["chat", "--message", "Hi", .. arguments]);
            Assert.Equal(exitCode, outcome.ExitCode);
            Assert.Contains(word, outcome.Error, StringComparison.Ordinal);
            Assert.True(exitCode == 2 || outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length == 1, outcome.Error);
        }
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static string Text(JsonElement done) => done.GetProperty("text").GetString()!;

    private static JsonElement Chat(params string[] more)
    {
        Tool.Outcome outcome = Tool.Vicuna(["chat", "--message", "What is 3 plus 4?", "--temperature", "0", "--json", .. more]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return Json(outcome.Lines[^1]);
    }
}
