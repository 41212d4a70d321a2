using System.Text.Json;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The recipe of the embedded model, through the built sample: what it makes beside the weights.</summary>
public sealed class RecipeTests
{
    private static readonly string[] Files = ["corpus.txt", "held-out.json", "questions.json", "pico-vicuna/generation_config.json", "pico-vicuna/tokenizer.model"];

    [Fact]
    public void Corpus_MadeTwice_IsTheSameAndKeepsTheExaminationApart()
    {
        using TempFolder one = new();
        using TempFolder other = new();
        foreach (TempFolder folder in new[] { one, other })
        {
            Tool.Outcome outcome = Recipe("--out", folder.Path, "--corpus-only", "--documents", "1500");
            Assert.True(outcome.ExitCode == 0, outcome.Error);
            Assert.StartsWith("corpus: 1,500 documents, ", outcome.Output, StringComparison.Ordinal);
        }

        Assert.All(Files, file => Assert.Equal(File.ReadAllBytes(one.File(file)), File.ReadAllBytes(other.File(file))));

        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(one.File("pico-vicuna/tokenizer.model"));
        Assert.Equal(1024, tokenizer.VocabularySize);
        // As the tokenizer decodes it: without control tokens, of which the space in front of the next text stays.
        HashSet<string> corpus = [.. File.ReadLines(one.File("corpus.txt"))
            .Select(line => line.Replace("<s> ", "", StringComparison.Ordinal).Replace("</s>", "", StringComparison.Ordinal))];
        string known = corpus.First();
        Assert.Equal(known, tokenizer.Decode(tokenizer.Encode(known, addBos: true)));
        using JsonDocument heldOut = JsonDocument.Parse(File.ReadAllBytes(one.File("held-out.json")));
        int[][] rows = [.. heldOut.RootElement.EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        Assert.Equal(60, rows.Length);
        foreach (int[] row in rows)
        {
            Assert.InRange(row.Length, 10, 512);
            Assert.Equal((1, 2), (row[0], row[^1]));
            Assert.DoesNotContain(row, id => id == tokenizer.UnknownId);
            Assert.DoesNotContain(tokenizer.Decode(row), corpus);
        }

        string[] systems = [.. corpus.Select(line => line.Split(" USER:")[0])];
        Assert.All(rows.Select(row => tokenizer.Decode(row).Split(" USER:")).Where(turns => turns.Length > 1), turns => Assert.Contains(turns[0], systems));
    }

    [Fact]
    public void Questions_AreInTheCorpusWithTheirAnswers_OrInAnotherWording()
    {
        using TempFolder folder = new();
        Assert.Equal(0, Recipe("--out", folder.Path, "--corpus-only", "--documents", "12000").ExitCode);
        string corpus = File.ReadAllText(folder.File("corpus.txt"));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(folder.File("questions.json")));
        (string Question, string Answer)[] questions = [.. json.RootElement.EnumerateArray()
            .Select(item => (item.GetProperty("question").GetString()!, item.GetProperty("answer").GetString()!))];
        Assert.Equal(200, questions.Distinct().Count());
        Assert.All(questions, item => Assert.Contains($" ASSISTANT: {item.Answer}</s>", corpus, StringComparison.Ordinal));
        int unseen = questions.Count(item => !corpus.Contains($"USER: {item.Question} ASSISTANT:", StringComparison.Ordinal));
        Assert.InRange(unseen, 10, 25);
        Assert.All(
            questions.Where(item => corpus.Contains($"USER: {item.Question} ASSISTANT:", StringComparison.Ordinal)),
            item => Assert.Contains($"USER: {item.Question} ASSISTANT: {item.Answer}</s>", corpus, StringComparison.Ordinal));
    }

    // All but the weights, which take half an hour.
    [Fact]
    public void Recipe_MakesTheFilesOfTheEmbeddedModel()
    {
        using TempFolder folder = new();
        Assert.Equal(0, Recipe("--out", folder.Path, "--corpus-only").ExitCode);
        Assert.All(Files[1..], file => Assert.Equal(File.ReadAllBytes(RepositoryFolder.Find($"samples/models/{file}")), File.ReadAllBytes(folder.File(file))));
    }

    [Theory]
    [InlineData]
    [InlineData("--corpus-only")]
    [InlineData("--out", "a", "--evaluate", "b")]
    [InlineData("--out", "a", "--documents", "0")]
    public void WrongArguments_ExitWith2(params string[] arguments)
    {
        Tool.Outcome outcome = Recipe(arguments);
        Assert.Equal(2, outcome.ExitCode);
        Assert.StartsWith("PicoVicuna --out DIR", outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Output);
    }

    private static Tool.Outcome Recipe(params string[] arguments)
    {
        Assert.SkipUnless(File.Exists(Tool.PicoVicunaPath), "samples/PicoVicuna has not been built.");
        return Tool.Run(Tool.PicoVicunaPath, arguments, workingFolder: null, input: null);
    }
}
