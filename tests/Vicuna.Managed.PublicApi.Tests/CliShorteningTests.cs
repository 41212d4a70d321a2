using System.Text.Json;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.PublicApi.Tests;

/// <summary>The verbs that change a checkpoint, through the built executable.</summary>
public sealed class CliShorteningTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public void Prune_ByScoresAndByNames_WritesTheSameModel_ThatRemoveBlocksTries()
    {
        string scores = _temp.Write("taylor.csv", "block_name,block_score\n" + string.Concat(Enumerable.Range(0, 8).Select(i => $"model.layers.{i},{(i == 5 ? 0 : i)}\n")));
        JsonElement byScores = Done("prune", "--scores", scores, "--blocks", "2", "--out", _temp.File("a"), "--json");
        Assert.Equal([4, 5], Ints(byScores.GetProperty("removed")));
        Assert.Equal([0, 1, 2, 3, 6, 7], Ints(byScores.GetProperty("kept")));
        Assert.Equal(_temp.File("a"), byScores.GetProperty("path").GetString());
        JsonElement byNames = Done("prune", "--remove", "5,4", "--out", _temp.File("b"), "--json");
        Assert.Equal(byScores.GetProperty("parameters").GetInt64(), byNames.GetProperty("parameters").GetInt64());
        Assert.Equal(File.ReadAllBytes(_temp.File("a/model.safetensors")), File.ReadAllBytes(_temp.File("b/model.safetensors")));
        Assert.True(File.Exists(_temp.File("a/tokenizer.model")));
        JsonElement inspected = Done("inspect", "--model", _temp.File("a"), "--json");
        Assert.Equal(6, inspected.GetProperty("layers").GetInt32());
        Assert.Equal(byScores.GetProperty("parameters").GetInt64(), inspected.GetProperty("parameters").GetInt64());
        string[] logits = ["logits", "--ids", "1,5,9", "--json"];
        string cut = Done([.. logits, "--model", _temp.File("a")]).GetRawText();
        Assert.Equal(cut, Done([.. logits, "--remove-blocks", "4,5"]).GetRawText());
        Assert.NotEqual(cut, Done(logits).GetRawText());

        JsonElement keptLess = Done("prune", "--scores", scores, "--blocks", "3", "--keep-first", "1", "--keep-last", "3", "--out", _temp.File("c"), "--json");
        Assert.Equal([1, 2, 3], Ints(Done("prune", "--scores", _temp.Write("o.csv", "0,1,2,3,4,5,6,7"), "--blocks", "3", "--keep-first", "1", "--out", _temp.File("d"), "--json").GetProperty("removed")));
        Assert.Equal([1, 2, 3], Ints(keptLess.GetProperty("removed")));
        Tool.Outcome people = Tool.Vicuna("prune", "--remove", "0", "--out", _temp.File("e"));
        Assert.Contains("7 blocks without 0", people.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("taylor", "taylor_blocks")]
    [InlineData("magnitude", "magnitude_blocks")]
    [InlineData("ppl", "ppl_without_block")]
    public void Score_OfAGoldenModel_IsTheGoldens_AndItsFileIsWhatPruneReads(string criterion, string golden)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Require("goldens/stories260k.json")));
        JsonElement sensitivity = json.RootElement.GetProperty("sensitivity");
        string ids = _temp.Write("ids.json", sensitivity.GetProperty("calibration_ids").GetRawText());
        string model = SharedFolder.Require("models/stories260k");
        string output = _temp.File($"{criterion}.csv");
        JsonElement done = Done("score", "--model", model, "--criterion", criterion, "--ids-file", ids, "--out", output, "--json");
        double[] expected = [.. sensitivity.GetProperty(golden).EnumerateArray().Select(score => score.GetDouble())];
        double[] found = [.. done.GetProperty("blocks").EnumerateArray().Select(score => score.GetDouble())];
        Assert.Equal(expected.Length, found.Length);
        Assert.All(expected.Zip(found), pair => Assert.Equal(1, pair.Second / pair.First, 1e-3));
        Assert.Equal(Enumerable.Range(0, 5).OrderBy(block => found[block]), Ints(done.GetProperty("order")));
        Assert.Equal(criterion, done.GetProperty("criterion").GetString());
        Assert.Equal(criterion != "ppl", done.GetProperty("weights").EnumerateObject().Any());
        Assert.StartsWith("<", File.ReadAllText(_temp.File($"{criterion}.svg")).TrimStart('\ufeff'), StringComparison.Ordinal);
        Assert.False(File.Exists(_temp.File($"{criterion}.partial")));

        JsonElement pruned = Done("prune", "--model", model, "--scores", output, "--blocks", "1", "--keep-first", "1", "--keep-last", "1", "--out", _temp.File("cut"), "--json");
        Assert.Equal([Enumerable.Range(1, 3).MinBy(block => found[block])], Ints(pruned.GetProperty("removed")));
    }

    [Fact]
    public void Score_OfATextOrOfNothing_DrawsPassagesOrSaysWhy()
    {
        string text = _temp.Write("book.txt", string.Concat(Enumerable.Range(0, 400).Select(i => $"Number {i} is a number. ")));
        string output = _temp.File("scores.csv");
        string[] score = ["score", "--criterion", "influence", "--calibration", text, "--samples", "4", "--length", "32", "--json", "--out"];
        string first = Done([.. score, output]).GetProperty("order").GetRawText();
        Assert.Equal(first, Done([.. score, output, "--seed", "0"]).GetProperty("order").GetRawText());
        Fails(1, "enough for", "score", "--criterion", "taylor", "--calibration", text, "--samples", "4000", "--out", output);
        Fails(1, "Sample 0", "score", "--criterion", "taylor", "--ids-file", _temp.Write("one.json", "[[1]]"), "--out", output);
        Fails(1, "none.txt", "score", "--criterion", "taylor", "--calibration", _temp.File("none.txt"), "--out", output);
        Fails(2, "expected one of", "score", "--criterion", "taylor", "--out", output);
        Fails(2, "luck", "score", "--criterion", "luck", "--out", output);
    }

    [Fact]
    public void Prune_OfWhatCannotBe_SaysWhy()
    {
        string scores = _temp.Write("taylor.csv", "0,1,2,3");
        string eight = _temp.Write("eight.csv", "0,1,2,3,4,5,6,7");
        string output = _temp.File("out");
        Fails(1, "Scores of another model: expected 8 blocks, found 4", "prune", "--scores", scores, "--blocks", "1", "--out", output);
        Fails(1, "expected at most 2 of 8", "prune", "--scores", eight, "--blocks", "3", "--out", output);
        Fails(1, "expected numbers from 0 to 7, found 8", "prune", "--remove", "8", "--out", output);
        Fails(1, "expected numbers from 0 to 7, found 8", "logits", "--ids", "1", "--remove-blocks", "8");
        Fails(1, "'line 1'", "prune", "--scores", _temp.Write("bad.csv", "x"), "--blocks", "1", "--out", output);
        Fails(1, "none.csv", "prune", "--scores", _temp.File("none.csv"), "--blocks", "1", "--out", output);
        Fails(1, "expected a new or empty folder", "prune", "--remove", "1", "--out", _temp.Path);
        Fails(2, "expected either", "prune", "--out", output);
        Fails(2, "expected either", "prune", "--remove", "1", "--blocks", "1", "--out", output);
        Fails(2, "expected either", "prune", "--scores", scores, "--out", output);
        Fails(2, "--keep-first", "prune", "--remove", "1", "--keep-first", "1", "--out", output);
        Fails(2, "numbers of blocks", "prune", "--remove", "a", "--out", output);
        Assert.False(Directory.Exists(output));
    }

    [Fact]
    public void Convert_ThereAndBack_IsTheSameModel()
    {
        JsonElement gguf = Done("convert", "--to", "gguf", "--type", "f16", "--out", _temp.File("pico.gguf"), "--json");
        Assert.Equal(new FileInfo(_temp.File("pico.gguf")).Length, gguf.GetProperty("bytes").GetInt64());
        JsonElement back = Done("convert", "--model", _temp.File("pico.gguf"), "--to", "safetensors", "--type", "f16", "--out", _temp.File("pico"), "--json");
        Assert.Equal(gguf.GetProperty("tensors").GetInt32(), back.GetProperty("tensors").GetInt32());
        Assert.Equal(_temp.File("pico"), back.GetProperty("path").GetString());
        string[] generate = ["generate", "--prompt", "Once", "--max-new-tokens", "8", "--temperature", "0"];
        string expected = Tool.Vicuna(generate).Output;
        Assert.Equal(expected, Tool.Vicuna([.. generate, "--model", _temp.File("pico")]).Output);
        Tool.Outcome people = Tool.Vicuna("convert", "--to", "gguf", "--type", "q8_0", "--out", _temp.File("q8.gguf"));
        Assert.Equal(0, people.ExitCode);
        Assert.Contains("q8.gguf: ", people.Output, StringComparison.Ordinal);
        Assert.NotEmpty(Tool.Vicuna([.. generate, "--model", _temp.File("q8.gguf")]).Output);

        Fails(1, "exists already", "convert", "--to", "gguf", "--type", "f16", "--out", _temp.File("pico.gguf"));
        Fails(1, "expected the path of a file that ends in .gguf", "convert", "--to", "gguf", "--type", "f16", "--out", _temp.File("x"));
        Fails(2, "expected f32, f16 or bf16 for safetensors", "convert", "--to", "safetensors", "--type", "q4_0", "--out", _temp.File("x"));
        Fails(2, "q5_0", "convert", "--to", "gguf", "--type", "q5_0", "--out", _temp.File("x.gguf"));
    }

    // A line that says what is wrong; where the command line is wrong, perhaps another one that says where to read on.
    private static void Fails(int exitCode, string says, params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(says, outcome.Error, StringComparison.Ordinal);
        Assert.InRange(outcome.Error.Trim().Split('\n').Length, 1, exitCode);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("unexpected", outcome.Error, StringComparison.Ordinal);
    }

    private static JsonElement Done(params string[] arguments)
    {
        Tool.Outcome outcome = Tool.Vicuna(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using JsonDocument document = JsonDocument.Parse(Assert.Single(outcome.Lines));
        return document.RootElement.Clone();
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];
}
