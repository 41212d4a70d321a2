using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary><c>vicuna evaluate</c>, and what it shares with <c>vicuna perplexity</c>.</summary>
public sealed class EvaluateCliTests : IDisposable
{
    private const string Chat = "A chat between a curious user and an artificial intelligence assistant. "
        + "The assistant gives helpful, detailed, and polite answers to the user's questions. USER: ";

    private readonly TempFolder _folder = new();

    [Fact]
    public void Evaluate_OfQuestionsThatTheModelKnows_IsFarAboveChance()
    {
        string file = _folder.Write("facts.jsonl", string.Join('\n',
            Line("What color is the sky?", 1, "The sky is green.", "The sky is blue.", "The sky is red."),
            Line("What is 3 plus 4?", 0, "Three plus four is seven.", "Three plus four is nine.", "Three plus four is two."),
            Line("What is 9 minus 2?", 2, "Nine minus two is four.", "Nine minus two is one.", "Nine minus two is seven."),
            Line("How many legs does a spider have?", 0, "A spider has eight legs.", "A spider has two legs.", "A spider has four legs."),
            Line("What does a cow say?", 1, "A cow says meow.", "A cow says moo.", "A cow says squeak.")));
        JsonElement result = Done("evaluate", "--task", file, "--kind", "multiple-choice", "--json");
        Assert.Equal(["accuracy", "accuracyNormalized", "items"], result.EnumerateObject().Take(3).Select(member => member.Name));
        Assert.InRange(result.GetProperty("accuracy").GetDouble(), 0.8, 1);
        Assert.InRange(result.GetProperty("accuracyNormalized").GetDouble(), 0.8, 1);
        Assert.Equal(5, result.GetProperty("items").GetInt32());
        Assert.Equal("facts", result.GetProperty("task").GetString());
        Assert.Equal(3, Done("evaluate", "--task", file, "--limit", "3", "--json").GetProperty("items").GetInt32());

        Tool.Outcome people = Tool.Vicuna("evaluate", "--task", file, "--threads", "1");
        Assert.Equal(0, people.ExitCode);
        Assert.StartsWith("pico-vicuna: facts: accuracy ", Assert.Single(people.Lines), StringComparison.Ordinal);
        Assert.Contains("5 items", people.Output, StringComparison.Ordinal);
        Assert.Empty(people.Error);
    }

    [Fact]
    public void Evaluate_OfSeveralModels_WritesTheReport()
    {
        string task = _folder.Write("facts.jsonl", Line("What color is the sky?", 0, "The sky is blue.", "The sky is red."));
        string arc = _folder.Write("ARC-Challenge-Test.jsonl", """{"id":"M_1","question":"Who purrs?","choices":{"text":["cat","dog"],"label":["A","B"]},"answerKey":"A"}""");
        string text = _folder.Write("facts.txt", string.Concat(Enumerable.Repeat("The sky is blue. A cat has four legs.\n", 30)));
        string pico = RepositoryFolder.Find("samples/models/pico-vicuna");
        string report = _folder.File("report.md");
        JsonElement result = Done(
            "evaluate", "--model", pico, "--model", pico + Path.DirectorySeparatorChar, "--task", task, "--task", arc, "--kind", "multiple-choice", "--kind", "arc",
            "--perplexity", text, "--lines", "trim", "--window", "32", "--report", report, "--json");
        JsonElement[] models = [.. result.GetProperty("models").EnumerateArray()];
        Assert.Equal(2, models.Length);
        Assert.Equal(models[0].GetProperty("perplexities").GetRawText(), models[1].GetProperty("perplexities").GetRawText());
        Assert.Equal(["accuracy", "accuracyNormalized"], models[0].GetProperty("tasks").EnumerateArray().Select(item => item.GetProperty("reported").GetString()));
        Assert.False(result.TryGetProperty("accuracy", out _));
        double perplexity = models[0].GetProperty("perplexities")[0].GetProperty("perplexity").GetDouble();
        Assert.Equal(perplexity, Done("perplexity", "--file", text, "--lines", "trim", "--window", "32", "--json").GetProperty("perplexity").GetDouble());

        string[] lines = File.ReadAllLines(report);
        Assert.Equal("| model | parameters | blocks | facts ppl | facts acc % | arc_challenge acc_norm % | mean % |", lines[0]);
        Assert.Equal(4, lines.Length);
        Assert.Contains("| 1,968,256 | 8 |", lines[2], StringComparison.Ordinal);
        Assert.Equal(3, File.ReadAllLines(_folder.File("report.csv")).Length);
        Assert.Equal(5, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public void Perplexity_WithLines_IsThatOfTheJoinedText()
    {
        string wiki = _folder.Write("wiki", string.Concat(Enumerable.Repeat(" \n = The sky = \n \n A cat has four legs. \n", 30)));
        string joined = _folder.Write("joined", string.Join("\n\n", Enumerable.Repeat("\n\n = The sky = \n\n\n\n\n A cat has four legs. \n", 30)));
        string trimmed = _folder.Write("trimmed", string.Join("\n\n", Enumerable.Repeat("\n\n= The sky =\n\n\n\nA cat has four legs.", 30)));
        string Measure(string file, params string[] more) => Done(["perplexity", "--file", file, "--json", .. more]).GetRawText();
        Assert.Equal(Measure(joined), Measure(wiki, "--lines"));
        Assert.Equal(Measure(joined), Measure(wiki, "--lines", "keep"));
        Assert.Equal(Measure(trimmed), Measure(wiki, "--lines", "trim"));
        Assert.Equal(Measure(wiki), Measure(wiki, "--lines", "none"));
        Assert.NotEqual(Measure(wiki), Measure(wiki, "--lines"));
    }

    [Fact]
    public void Evaluate_OfBrokenLines_EndsOrCountsThem()
    {
        string file = _folder.Write("t.jsonl", Line("What color is the sky?", 0, "The sky is blue.", "The sky is red.") + "\n{\n");
        Tool.Outcome failed = Tool.Vicuna("evaluate", "--task", file);
        Assert.Equal(1, failed.ExitCode);
        Assert.Contains("t.jsonl: 'line 2': expected a JSON object", Assert.Single(failed.Error.Trim().Split('\n')), StringComparison.Ordinal);
        Tool.Outcome skipped = Tool.Vicuna("evaluate", "--task", file, "--skip-broken", "--json");
        Assert.Equal(0, skipped.ExitCode);
        Assert.Contains("t: 1 broken lines were left out", skipped.Error, StringComparison.Ordinal);
        Assert.Contains("\"brokenLines\":1", skipped.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "expected --task or --perplexity", "evaluate")]
    [InlineData(2, "'mmlu'", "evaluate", "--task", "x", "--kind", "mmlu")]
    [InlineData(2, "--kind: expected one, or one for each of 1 --task, found 2", "evaluate", "--task", "x", "--kind", "boolq", "--kind", "piqa")]
    [InlineData(2, "--lines: expected one, or one for each of 0 --perplexity, found 1", "evaluate", "--task", "x", "--lines", "keep")]
    [InlineData(2, "--limit", "evaluate", "--task", "x", "--limit", "0")]
    [InlineData(2, "--report", "evaluate", "--task", "x", "--report", "x.csv")]
    [InlineData(2, "'all'", "perplexity", "--file", "x", "--lines", "all")]
    [InlineData(1, "no-such-file", "evaluate", "--task", "no-such-file")]
    [InlineData(1, "no-such-file", "evaluate", "--perplexity", "no-such-file")]
    public void WrongRequests_AreRefused(int exitCode, string says, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("unexpected", outcome.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static string Line(string question, int answer, params string[] choices) =>
        JsonSerializer.Serialize(new { context = $"{Chat}{question} ASSISTANT:", choices, answer });

    private static JsonElement Done(params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using JsonDocument document = JsonDocument.Parse(Assert.Single(outcome.Lines));
        return document.RootElement.Clone();
    }
}
