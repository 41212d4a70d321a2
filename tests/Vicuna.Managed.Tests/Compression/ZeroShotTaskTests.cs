using System.Text;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tests.Support;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>Every form of every dataset, and what the model is shown, written down by hand from the harness's rules.</summary>
public sealed class ZeroShotTaskTests
{
    private const string Cat = """{"text":"cat","label":"A"},{"text":"dog","label":"B"},{"text":"fish","label":"C"}""";

    [Theory]
    [InlineData("""{"question":"is rain wet","title":"Rain","answer":true,"passage":"Rain is water."}""", 1)]
    [InlineData("""{"question":"is rain wet","passage":"Rain is water.","answer":false}""", 0)]
    [InlineData("""{"question":"is rain wet","passage":"Rain is water.","idx":3,"label":1}""", 1)]
    [InlineData("""{"passage":"Rain is water.","question":"is rain wet","label":false}""", 0)]
    public void BoolQ_OfEveryForm_AsksForYesOrNo(string line, int answer)
    {
        ZeroShotTask task = Parse(line, "dev.jsonl");
        Assert.Equal((ZeroShotTaskKind.BoolQ, "boolq", false), (task.Kind, task.Name, task.ReportsNormalized));
        ZeroShotItem item = Assert.Single(task.Items);
        const string Context = "Rain is water.\nQuestion: is rain wet?\nAnswer:";
        Assert.Equal([new ZeroShotChoice(Context, " no", 2), new ZeroShotChoice(Context, " yes", 3)], item.Choices);
        Assert.Equal(answer, item.Answer);
    }

    [Theory]
    [InlineData("""{"goal":"open a jar","sol1":"twist it","sol2":"eat it","label":0}""", null, 0)]
    [InlineData("""{"goal":"open a jar","sol1":"twist it","sol2":"eat it","label":"1"}""", "0", 1)]
    [InlineData("""{"id":"x","goal":"open a jar","sol1":"twist it","sol2":"eat it"}""", "1\n", 1)]
    public void Piqa_OfEveryForm_AsksTheGoal(string line, string? labels, int answer)
    {
        ZeroShotTask task = Parse(line, "valid.jsonl", labels: labels);
        Assert.Equal((ZeroShotTaskKind.Piqa, "piqa", false), (task.Kind, task.Name, task.ReportsNormalized));
        const string Context = "Question: open a jar\nAnswer:";
        Assert.Equal([new ZeroShotChoice(Context, " twist it", 8), new ZeroShotChoice(Context, " eat it", 6)], task.Items[0].Choices);
        Assert.Equal(answer, task.Items[0].Answer);
    }

    [Fact]
    public void Piqa_OfFilesAsPublished_TakesTheLabelsBeside()
    {
        using TempFolder folder = new();
        const string Line = """{"goal":"g","sol1":"a","sol2":"b"}""";
        string path = folder.Write("valid.jsonl", $"{Line}\n\n{Line}\n{{broken\n{Line}\n");
        Assert.Contains("valid-labels.lst: expected the labels", Refused(() => ZeroShotTask.Load(path)), StringComparison.Ordinal);
        folder.Write("valid-labels.lst", "1\n0\n0\n1\n");
        ZeroShotTask task = ZeroShotTask.Load(path, new ZeroShotTaskOptions { SkipBroken = true });
        Assert.Equal([1, 0, 1], task.Items.Select(item => item.Answer));
        Assert.Equal(1, task.BrokenLines);
        folder.Write("valid-labels.lst", "1\n0\n1\n");
        Assert.Contains("expected 4 labels", Refused(() => ZeroShotTask.Load(path, new ZeroShotTaskOptions { SkipBroken = true })), StringComparison.Ordinal);
        folder.Write("valid-labels.lst", "1\n0\n2\n1\n");
        Assert.Contains("valid-labels.lst: 'line 3': expected 0 or 1, found '2'", Refused(() => ZeroShotTask.Load(path)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("3")]
    [InlineData("\"3\"")]
    public void HellaSwag_WithMarkup_IsCleanedAsTheHarnessDoes(string label)
    {
        string line = """
            {"ind":4,"activity_label":" Removing ice","ctx_a":"Then, the man [header] sits [substeps] down.","ctx_b":"he SHOWS  the","ctx":"unused",
             "split":"val","endings":[" [title] Get  up. [step] Now","wipes[0-60%] it","a    b","x [unclosed"],"label":LABEL}
            """.Replace("\n", string.Empty).Replace("LABEL", label);
        ZeroShotTask task = Parse(line, "hellaswag_val.jsonl");
        Assert.Equal((ZeroShotTaskKind.HellaSwag, "hellaswag", true), (task.Kind, task.Name, task.ReportsNormalized));
        ZeroShotItem item = task.Items[0];
        // ctx_b with one large letter; each pair of spaces made one, once: the two around what was in brackets, and the two of the text.
        Assert.All(item.Choices, choice => Assert.Equal("Removing ice: Then, the man sits down. He shows the", choice.Context));
        Assert.Equal(["  Get up. Now", " wipes it", " a  b", " x [unclosed"], item.Choices.Select(choice => choice.Continuation));
        Assert.Equal([.. item.Choices.Select(choice => choice.Continuation.Length - 1)], item.Choices.Select(choice => choice.Characters));
        Assert.Equal(3, item.Answer);
    }

    [Fact]
    public void HellaSwag_WithTitlesInside_MakesThemFullStops()
    {
        ZeroShotItem item = Parse("""{"activity_label":"A","ctx_a":"Cook [title] Boil it [step] now","ctx_b":"","endings":["One [title] two","b"],"label":1}""", "h").Items[0];
        Assert.Equal("A: Cook. Boil it now", item.Choices[0].Context.TrimEnd());
        Assert.Equal(" One. two", item.Choices[0].Continuation);
    }

    [Theory]
    [InlineData("1", 0)]
    [InlineData("2", 1)]
    public void Winogrande_PutsTheOptionsIntoTheContext(string answer, int index)
    {
        string line = $$"""{"qID":"3","sentence":"The cup did not fit the bag because the _ was too big.","option1":"cup","option2":"bag","answer":"{{answer}}"}""";
        ZeroShotTask task = Parse(line, "dev.jsonl");
        Assert.Equal((ZeroShotTaskKind.Winogrande, "winogrande", false), (task.Kind, task.Name, task.ReportsNormalized));
        Assert.Equal(
            [
                new ZeroShotChoice("The cup did not fit the bag because the cup", " was too big.", 12),
                new ZeroShotChoice("The cup did not fit the bag because the bag", " was too big.", 12),
            ],
            task.Items[0].Choices);
        Assert.Equal(index, task.Items[0].Answer);
    }

    [Theory]
    [InlineData("""{"id":"Mercury_7","question":{"stem":"Who purrs?","choices":[CHOICES]},"answerKey":"B"}""", 1)]
    [InlineData("""{"id":"MCAS_2000_4_6","question":{"stem":"Who purrs?","choices":[NUMBERED]},"answerKey":"3"}""", 2)]
    [InlineData("""{"id":"Mercury_7","question":"Who purrs?","choices":{"text":["cat","dog","fish"],"label":["A","B","C"]},"answerKey":"C"}""", 2)]
    [InlineData("""{"id":"Mercury_7","question":"Who purrs?","choices":[CHOICES],"answerKey":"1"}""", 0)]
    public void Arc_OfEveryForm_AsksTheQuestion(string line, int answer)
    {
        line = line.Replace("CHOICES", Cat, StringComparison.Ordinal).Replace("NUMBERED", Cat.Replace("\"A\"", "\"1\"").Replace("\"B\"", "\"2\"").Replace("\"C\"", "\"3\""), StringComparison.Ordinal);
        ZeroShotTask easy = Parse(line, "ARC-Easy-Test.jsonl");
        ZeroShotTask challenge = Parse(line, "folder/ARC-Challenge-Test.jsonl");
        Assert.Equal((ZeroShotTaskKind.ArcEasy, "arc_easy", false), (easy.Kind, easy.Name, easy.ReportsNormalized));
        Assert.Equal((ZeroShotTaskKind.ArcChallenge, "arc_challenge", true), (challenge.Kind, challenge.Name, challenge.ReportsNormalized));
        Assert.Equal(["Question: Who purrs?\nAnswer:"], easy.Items[0].Choices.Select(choice => choice.Context).Distinct());
        Assert.Equal([" cat", " dog", " fish"], easy.Items[0].Choices.Select(choice => choice.Continuation));
        Assert.Equal(answer, easy.Items[0].Answer);
        Assert.Equal(ZeroShotTaskKind.ArcChallenge, Parse(line, "x.jsonl", ZeroShotTaskKind.ArcChallenge).Kind);
    }

    [Theory]
    [InlineData("""{"id":"7-980","question":{"stem":"A pet that purrs is a","choices":[CHOICES]},"answerKey":"A"}""")]
    [InlineData("""{"id":"7-980","question_stem":"A pet that purrs is a","choices":{"text":["cat","dog","fish"],"label":["A","B","C"]},"answerKey":"A"}""")]
    public void OpenBookQa_OfEveryForm_IsTheStemAlone(string line)
    {
        ZeroShotTask task = Parse(line.Replace("CHOICES", Cat, StringComparison.Ordinal), "test.jsonl");
        Assert.Equal((ZeroShotTaskKind.OpenBookQa, "openbookqa", true), (task.Kind, task.Name, task.ReportsNormalized));
        Assert.Equal(new ZeroShotChoice("A pet that purrs is a", " cat", 3), task.Items[0].Choices[0]);
        Assert.Equal(0, task.Items[0].Answer);
    }

    [Theory]
    [InlineData("""{"context":"1 + 1 =","choices":["2","3"],"answer":1}""")]
    [InlineData("""{"question":"1 + 1 =","options":["2","3"],"label":"1"}""")]
    [InlineData("""{"prompt":"1 + 1 =","endings":["2","3"],"gold":"B"}""")]
    [InlineData("""{"prompt":"1 + 1 =","choices":{"text":["2","3"],"label":["x","y"]},"gold":"y"}""")]
    [InlineData("""{"context":"1 + 1 =","question":null,"choices":[{"text":"2"},{"text":"3"}],"answer":"b"}""")]
    public void MultipleChoice_OfEveryForm_IsTakenAsGiven(string line)
    {
        foreach (ZeroShotTaskKind kind in new[] { ZeroShotTaskKind.Auto, ZeroShotTaskKind.MultipleChoice })
        {
            ZeroShotTask task = Parse(line, "folder/my sums.jsonl", kind);
            Assert.Equal((ZeroShotTaskKind.MultipleChoice, "my sums", false), (task.Kind, task.Name, task.ReportsNormalized));
            Assert.Equal([new ZeroShotChoice("1 + 1 =", " 2", 1), new ZeroShotChoice("1 + 1 =", " 3", 1)], task.Items[0].Choices);
            Assert.Equal(1, task.Items[0].Answer);
        }
    }

    [Fact]
    public void MultipleChoice_JoinsByOneSpaceUnlessThereIsWhitespace()
    {
        string[] Continuations(string context, string first) =>
            [.. Parse($$"""{"context":"{{context}}","choices":["{{first}}","no"],"answer":0}""", "t").Items[0].Choices.Select(choice => choice.Continuation)];
        Assert.Equal([" yes", " no"], Continuations("Well:", "yes"));
        Assert.Equal(["yes", "no"], Continuations("Well: ", "yes"));
        Assert.Equal(["yes", "no"], Continuations("Well:\\n", "yes"));
        Assert.Equal(["\nyes", " no"], Continuations("Well:", "\\nyes"));
        Assert.Equal(["yes", "no"], Continuations(string.Empty, "yes"));
        Assert.Equal([" ", " no"], Continuations("Well:", string.Empty));
    }

    [Fact]
    public void Characters_AreCodePointsOfTheChoiceAsGiven()
    {
        ZeroShotItem item = Parse("""{"context":"c","choices":["\ud83d\ude00 é"," a"],"answer":0}""", "t").Items[0];
        Assert.Equal([3, 2], item.Choices.Select(choice => choice.Characters));
    }

    [Fact]
    public void Limit_TakesTheFirstItems()
    {
        string lines = string.Join('\n', Enumerable.Range(0, 9).Select(i => $$"""{"context":"c{{i}}","choices":["a","b"],"answer":0}"""));
        ZeroShotTask task = ZeroShotTask.Parse(Encoding.UTF8.GetBytes("\uFEFF" + lines), "t", new ZeroShotTaskOptions { Limit = 3 });
        Assert.Equal(["c0", "c1", "c2"], task.Items.Select(item => item.Choices[0].Context));
        Assert.Equal(9, Parse(lines, "t").Items.Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => ZeroShotTask.Parse(default, "t", new ZeroShotTaskOptions { Limit = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => ZeroShotTask.Parse(default, "t", new ZeroShotTaskOptions { Kind = (ZeroShotTaskKind)99 }));
    }

    [Theory]
    [InlineData("{", "expected a JSON object, found something else at byte 1")]
    [InlineData("[]", "expected a JSON object, found Array")]
    [InlineData("""{"a":1}""", "name the kind")]
    [InlineData("""{"context":"a","question":"b","choices":["a","b"],"answer":0}""", "expected one of them, found context, question")]
    [InlineData("""{"context":"a","choices":["a","b"]}""", "answer, label, gold: expected one of them, found none")]
    [InlineData("""{"context":"a","choices":["a","b"],"answer":2}""", "answer: expected the right one of 2 choices as a number from 0 to 1 or a letter from A to B, found 2")]
    [InlineData("""{"context":"a","choices":["a","b"],"answer":-1}""", "found -1")]
    [InlineData("""{"context":"a","choices":["a","b"],"answer":"C"}""", "found \"C\"")]
    [InlineData("""{"context":"a","choices":["a"],"answer":0}""", "choices: expected 2 to 256 choices")]
    [InlineData("""{"context":"a","choices":["a",3],"answer":0}""", "choices: expected a string, found 3")]
    [InlineData("""{"context":"a","choices":"ab","answer":0}""", "choices: expected a list of choices")]
    [InlineData("""{"context":7,"choices":["a","b"],"answer":0}""", "context: expected a string, found 7")]
    [InlineData("""{"context":"\ud800","choices":["a","b"],"answer":0}""", "whole Unicode characters")]
    [InlineData("""{"context":"a","context":"b","choices":["a","b"],"answer":0}""", "expected a JSON object")]
    [InlineData("""{"sentence":"no blank","option1":"a","option2":"b","answer":"1"}""", "sentence: expected a blank '_', found none")]
    [InlineData("""{"sentence":"a _","option1":"a","option2":"b","answer":"3"}""", "as a number from 1 to 2")]
    [InlineData("""{"activity_label":"a","ctx_a":"b","ctx_b":"c","endings":["a","b"],"label":""}""", "label: expected the right one")]
    [InlineData("""{"question":"a","passage":"b","answer":"yes"}""", "answer: expected true or false, found \"yes\"")]
    [InlineData("""{"goal":"g","sol1":"a","sol2":"b"}""", "t-labels.lst: expected the labels of t.jsonl")]
    [InlineData("""{"question":{"stem":"s","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"A"}""", "tells ARC and OpenBookQA apart")]
    [InlineData("""{"id":"M","question":"s","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}""", "all or none with labels, found 2 and 1 labels")]
    public void BrokenLine_NamesFileAndLine(string line, string says)
    {
        string message = Refused(() => Parse("\n" + line, "t.jsonl"));
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.True(message.StartsWith("t.jsonl: 'line 2': ", StringComparison.Ordinal) || says.StartsWith("t-labels", StringComparison.Ordinal), message);
    }

    [Fact]
    public void BrokenLines_WhenSkipped_AreCounted()
    {
        const string Good = """{"context":"a","choices":["a","b"],"answer":0}""";
        ZeroShotTask task = ZeroShotTask.Parse(
            Encoding.UTF8.GetBytes($"{{\n{Good}\nnull\n{Good}\n{Good.Replace("0", "5")}\n{Good.Replace("\"a\"", "\"\\ud800\"")}\n"), "t", new ZeroShotTaskOptions { SkipBroken = true });
        Assert.Equal((2, 4), (task.Items.Count, task.BrokenLines));
        Assert.Contains("found none and 1 broken lines", Refused(() => ZeroShotTask.Parse("{"u8.ToArray(), "t", new ZeroShotTaskOptions { SkipBroken = true })), StringComparison.Ordinal);
        Assert.Contains("expected one or more items", Refused(() => Parse("\n \n", "t")), StringComparison.Ordinal);
        Assert.Contains("'line 1': expected UTF-8", Refused(() => ZeroShotTask.Parse(new byte[] { 0xFF, 0xFE }, "t")), StringComparison.Ordinal);
    }

    [Fact]
    public void Brackets_WithoutEnd_TakeTimeInProportion()
    {
        string line = $$"""{"activity_label":"a","ctx_a":"{{new string('[', 2_000_000)}}","ctx_b":"c","endings":["{{string.Concat(Enumerable.Repeat("[[\\n", 200_000))}}","b"],"label":0}""";
        Assert.Equal(2_000_000, Parse(line, "t").Items[0].Choices[0].Context.Count(c => c == '['));
    }

    private static ZeroShotTask Parse(string lines, string name, ZeroShotTaskKind kind = ZeroShotTaskKind.Auto, string? labels = null) => ZeroShotTask.Parse(
        Encoding.UTF8.GetBytes(lines), name, new ZeroShotTaskOptions { Kind = kind }, labels is null ? (ReadOnlyMemory<byte>?)null : Encoding.UTF8.GetBytes(labels));

    private static string Refused(Action action) => Assert.Throws<ModelFormatException>(action).Message;
}
