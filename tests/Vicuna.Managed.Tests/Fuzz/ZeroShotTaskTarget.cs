using System.Text;
using Vicuna.Managed.Compression;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>Reads a task's file, strictly and leaving broken lines out: what the one accepts the other accepts whole.</summary>
internal static class ZeroShotTaskTarget
{
    public static string Name => "zero-shot-task";

    public static IReadOnlyList<byte[]> Seeds() =>
    [
        .. new[]
        {
            """{"question":"is it","title":"It","answer":true,"passage":"It is."}""" + "\n" + """{"question":"was it","answer":false,"passage":"It was."}""",
            """{"goal":"open it","sol1":"pull","sol2":"push","label":1}""" + "\r\n",
            """{"goal":"open it","sol1":"pull","sol2":"push"}""",
            """{"ind":1,"activity_label":"Cleaning","ctx_a":"A man [title] sits [x].","ctx_b":"he  then","endings":["a [b] c","d","e","[f"],"label":"2"}""",
            """{"sentence":"He hit _ because it is big.","option1":"x","option2":"y","answer":"2"}""",
            """{"id":"Mercury_1","question":{"stem":"Why?","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"B"}""",
            """{"id":"7-980","question":{"stem":"The sun","choices":[{"text":"a","label":"1"},{"text":"b","label":"2"}]},"answerKey":"2"}""",
            """{"id":"M","question":"Why?","choices":{"text":["a","b","c"],"label":["A","B","C"]},"answerKey":"C"}""",
            """{"question_stem":"The sun","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"A"}""",
            """{"context":"1 + 1 =","choices":["2","3"],"answer":0}""" + "\n\n" + """{"prompt":"é \ud83d\ude00","options":[" 2","3"],"gold":"b"}""" + "\n" + """{"question":"x","endings":["2","3"],"label":"1"}""",
            """{"context":"\ud800","choices":["2","3"],"answer":0}""",
            """{"context":null,"choices":[],"answer":[]}""",
            "[1]\n{}\nnull",
            "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public static void Run(byte[] input)
    {
        ZeroShotTask? lenient = null;
        try
        {
            lenient = ZeroShotTask.Parse(input, "fuzz.jsonl", new ZeroShotTaskOptions { SkipBroken = true }, "0\n1\n"u8.ToArray());
        }
        catch (ModelFormatException)
        {
            // Then there is no good line, and the strict reading refuses the file too.
        }

        ZeroShotTask strict = ZeroShotTask.Parse(input, "fuzz.jsonl", null, "0\n1\n"u8.ToArray());
        Assert.NotNull(lenient);
        Assert.Equal(0, lenient.BrokenLines);
        Assert.Equal(strict.Items.Count, lenient.Items.Count);
        Assert.All(strict.Items, item => Assert.InRange(item.Answer, 0, item.Choices.Count - 1));
    }
}
