using Vicuna.Managed.Chat;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tests.Tokenization;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Compression.Data;

public sealed class TrainingDataTests
{
    private const string Prompt =
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay hello.\n\n### Response:\n";

    private const string PromptWithInput =
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately "
        + "completes the request.\n\n### Instruction:\nSay it.\n\n### Input:\n{0} blue\n\n### Response:\n";

    private static readonly SentencePieceTokenizer Pico = Vocabularies.Pico;

    [Theory]
    [InlineData("[{\"instruction\":\"Say hello.\",\"input\":\"\",\"output\":\"Hello.\"},\n {\"instruction\":\"Say it.\",\"input\":\"{0} blue\",\"output\":\"It.\",\"id\":[1,{}]}]")]
    [InlineData("\uFEFF{\"instruction\":\"Say hello.\",\"output\":\"Hello.\"}\r\n\n  {\"output\":\"It.\",\"instruction\":\"Say it.\",\"input\":\"{0} blue\"}\r\n")]
    public void Alpaca_OfBothContainers_MasksThePromptsAndEndsWithEos(string text)
    {
        using TempFolder folder = new();
        TrainingSet set = TrainingData.FromAlpaca(folder.Write("data.json", text), Pico);
        Assert.Equal((TrainingDataKind.Alpaca, 2, 0, 0, 0), (set.Kind, set.Records, set.Broken, set.WithoutTargets, set.Cut));
        foreach ((TrainingSample sample, string prompt, string answer) in set.Samples.Zip([Prompt, PromptWithInput], ["Hello.", "It."]))
        {
            int[] whole = [.. Pico.Encode(prompt + answer, addBos: true), Pico.EosId!.Value];
            int promptTokens = Pico.Encode(prompt, addBos: true).Count;
            Assert.Equal(whole, sample.Ids);
            Assert.Equal(Pico.BosId, sample.Ids[0]);
            Assert.Equal(whole.Select((_, i) => i >= promptTokens), sample.Targets);
            Assert.Equal(answer, Pico.Decode(sample.Ids.Where((_, i) => sample.Targets[i])).TrimStart());
        }
    }

    [Fact]
    public void Alpaca_ThatIsTooLong_IsCutOrDroppedAndHasNoEos()
    {
        using TempFolder folder = new();
        string path = folder.Write("data.json", "[{\"instruction\":\"Say hello.\",\"input\":\"\",\"output\":\"The sky is blue because of the light.\"}]");
        int promptTokens = Pico.Encode(Prompt, addBos: true).Count;
        int all = Pico.Encode(Prompt + "The sky is blue because of the light.", addBos: true).Count;
        TrainingSample whole = Assert.Single(TrainingData.FromAlpaca(path, Pico, new TrainingDataOptions { CutoffTokens = all + 1 }).Samples);
        Assert.Equal((all + 1, Pico.EosId!.Value), (whole.Ids.Count, whole.Ids[^1]));
        TrainingSample full = Assert.Single(TrainingData.FromAlpaca(path, Pico, new TrainingDataOptions { CutoffTokens = all }).Samples);
        Assert.Equal(whole.Ids.SkipLast(1), full.Ids);
        TrainingSet cut = TrainingData.FromAlpaca(path, Pico, new TrainingDataOptions { CutoffTokens = promptTokens + 1 });
        Assert.Equal((1, 1), (cut.Cut, Assert.Single(cut.Samples).TargetCount));
        TrainingSet dropped = TrainingData.FromAlpaca(path, Pico, new TrainingDataOptions { CutoffTokens = promptTokens });
        Assert.Empty(dropped.Samples);
        Assert.Equal((1, 1, 0), (dropped.Records, dropped.WithoutTargets, dropped.Broken));
    }

    [Theory]
    [InlineData("vicuna")]
    [InlineData("llama2")]
    [InlineData("alpaca")]
    public void Conversations_InTheModelsTemplate_AreWhatItIsPromptedWith(string name)
    {
        Assert.True(PromptTemplates.TryGet(name, out IPromptFormatter? formatter));
        using TempFolder folder = new();
        string path = folder.Write(
            "data.jsonl",
            "{\"id\":\"a\",\"conversations\":[{\"from\":\"human\",\"value\":\"What is it?\"},{\"from\":\"gpt\",\"value\":\"It is red.\"},{\"from\":\"human\",\"value\":\"Why?\"},{\"from\":\"gpt\",\"value\":\"It just is.\"}]}\n"
            + "{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"What is it?\"},{\"role\":\"assistant\",\"content\":\"It is red.\"},{\"role\":\"user\",\"content\":\"Why?\"}]}\n");
        TrainingSet set = TrainingData.FromConversations(path, Pico, formatter, new TrainingDataOptions { CutoffTokens = 500 });
        Assert.Equal((TrainingDataKind.Conversations, 2, 0), (set.Kind, set.Records, set.Broken));
        ChatMessage user = new(ChatRole.User, "What is it?");
        ChatMessage assistant = new(ChatRole.Assistant, "It is red.");
        ChatMessage why = new(ChatRole.User, "Why?");
        int[] first = [.. PromptEncoder.Encode(Pico, formatter.Format([user]))];
        int[] second = [.. PromptEncoder.Encode(Pico, formatter.Format([user, assistant, why]))];
        TrainingSample sample = set.Samples[0];
        Assert.Equal(first, sample.Ids.Take(first.Length));
        Assert.Equal(second, sample.Ids.Take(second.Length));
        Assert.Equal(Pico.EosId, sample.Ids[^1]);
        Assert.Equal("It is red.It just is.", Answers(sample));
        Assert.Equal(2, sample.Ids.Where((id, i) => sample.Targets[i] && id == Pico.EosId).Count());
        Assert.False(sample.Targets[first.Length - 1]);
        Assert.True(sample.Targets[first.Length]);
        Assert.False(sample.Targets[second.Length - 1]);

        int[] withSystem = [.. PromptEncoder.Encode(Pico, formatter.Format([new ChatMessage(ChatRole.System, "Be kind."), user]))];
        Assert.Equal(withSystem, set.Samples[1].Ids.Take(withSystem.Length));
        Assert.Equal("It is red.", Answers(set.Samples[1]));
        Assert.Equal(Pico.EosId, set.Samples[1].Ids[^1]);
    }

    [Fact]
    public void Conversations_InATemplateOfPieces_EndWithThePiece()
    {
        using TempFolder folder = new();
        string path = folder.Write("data.json", "{\"messages\":[{\"role\":\"user\",\"content\":\"Why?\"},{\"role\":\"assistant\",\"content\":\"It is.\"}]}");
        TrainingSample sample = Assert.Single(TrainingData.FromConversations(path, Pico, PromptTemplates.ChatMl).Samples);
        Assert.Equal("It is.<|im_end|>", Answers(sample).TrimStart());
        sample = Assert.Single(TrainingData.FromConversations(path, Pico, PromptTemplates.Raw).Samples);
        Assert.Equal("It is.", Answers(sample));
    }

    [Fact]
    public void Conversations_WithoutAnAnswer_AreDroppedAndOnesThatBeginWithOneLoseIt()
    {
        using TempFolder folder = new();
        string path = folder.Write(
            "data.json",
            """
            [{"conversations":[]}, {"conversations":[{"from":"human","value":"a"}]}, {"conversations":[{"from":"gpt","value":"a"}]},
             {"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":""}]},
             {"conversations":[{"from":"gpt","value":"first"},{"from":"user","value":"a"},{"from":"chatgpt","value":"It is."}]}]
            """);
        TrainingSet set = TrainingData.FromConversations(path, Pico, PromptTemplates.Vicuna);
        Assert.Equal((5, 4, 0), (set.Records, set.WithoutTargets, set.Broken));
        Assert.Equal("It is.", Answers(Assert.Single(set.Samples)));
    }

    [Fact]
    public void Text_InWindows_IsAllThere()
    {
        using TempFolder folder = new();
        string text = string.Concat(Enumerable.Range(0, 100).Select(i => $"The sky is blue, {i} times. "));
        TrainingSet set = TrainingData.FromText(folder.Write("data.txt", "\uFEFF" + text), Pico, new TrainingDataOptions { CutoffTokens = 32 });
        IReadOnlyList<int> ids = Pico.Encode(text, addBos: false);
        Assert.Equal((ids.Count + 30) / 31, set.Samples.Count);
        Assert.Equal(ids, set.Samples.SelectMany(sample => sample.Ids.Skip(1)));
        Assert.All(set.Samples, sample => Assert.Equal((Pico.BosId!.Value, sample.Ids.Count - 1), (sample.Ids[0], sample.TargetCount)));
        Assert.All(set.Samples.SkipLast(1), sample => Assert.Equal(32, sample.Ids.Count));
    }

    [Theory]
    [InlineData(" \n[ {\"instruction\":\"a\",\"output\":\"b\"}]", TrainingDataKind.Alpaca)]
    [InlineData("{\"instruction\":\"a\",\"output\":\"b\"}", TrainingDataKind.Alpaca)]
    [InlineData("{broken}\n{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", TrainingDataKind.Conversations)]
    [InlineData("[Music] The sky is blue.", TrainingDataKind.Text)]
    [InlineData("The sky is blue.", TrainingDataKind.Text)]
    public void Load_OfAnUnnamedKind_SeesWhichItIs(string text, TrainingDataKind kind)
    {
        using TempFolder folder = new();
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1 });
        TrainingSet set = TrainingData.Load(folder.Write("data", text), model, new TrainingDataOptions { SkipBroken = true });
        Assert.Equal((kind, 1), (set.Kind, set.Samples.Count));
    }

    [Theory]
    [InlineData("[{\"instruction\":\"a\",\"output\":\"b\"},{\"instruction\":\"a\"}]", "element 2: 'output': expected a string, found nothing")]
    [InlineData("{\"instruction\":\"a\",\"output\":\"b\"}\n\n{\"instruction\":\"a\",\"output\":7}\n", "line 3: 'output': expected a string, found Number")]
    [InlineData("{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":\"a\",", "line 2: expected a JSON object, found damaged JSON")]
    [InlineData("{\"instruction\":\"a\",\"output\":\"b\"}\n[1]", "line 2: expected a JSON object, found Array")]
    [InlineData("{\"instruction\":\"a\",\"output\":\"\\ud800\"}", "line 1: expected a JSON object, found damaged JSON")]
    [InlineData("{\"instruction\":\"a\",\"output\":\"b\",\"output\":\"c\"}", "line 1: expected a JSON object, found damaged JSON")]
    [InlineData("[{\"instruction\":\"a\",\"output\":\"b\"},]", "element 2: expected a JSON object, found damaged JSON")]
    [InlineData("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"human\",\"value\":\"b\"}]}", "line 1: message 2")]
    [InlineData("{\"conversations\":[{\"from\":\"bard\",\"value\":\"a\"}]}", "line 1: message 1: 'from': expected system, human, user, gpt or assistant, found 'bard'")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "line 1: 'content': expected a string, found Array")]
    [InlineData("{\"messages\":[3]}", "line 1: message 1: expected an object, found Number")]
    [InlineData("{\"messages\":{}}", "line 1: 'messages': expected an array, found Object")]
    public void Load_OfABrokenRecord_NamesItOrSkipsAndCountsIt(string text, string says)
    {
        using TempFolder folder = new();
        string path = folder.Write("data", text);
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Read(path, new TrainingDataOptions()));
        Assert.StartsWith($"{path}: {says}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        TrainingSet set = Read(path, new TrainingDataOptions { SkipBroken = true });
        Assert.Equal(1, set.Broken);
        Assert.Equal(set.Records, set.Samples.Count + 1);
    }

    [Theory]
    [InlineData("[{\"instruction\":\"a\",\"output\":\"b\"}", "element 1: expected its end")]
    [InlineData("[{\"instruction\":\"a\",\"output\":\"b\"},{\"instruction\":\"a", "element 2: expected its end")]
    [InlineData("[{\"instruction\":\"a\",\"output\":\"b\"}]x", "expected nothing after the array")]
    [InlineData("[{\"text\":\"a\"}]", "element 1: expected a record with 'instruction'")]
    [InlineData("[{broken}]", "expected JSON objects or plain text")]
    public void Load_OfABrokenFile_FailsEvenIfRecordsAreSkipped(string text, string says)
    {
        using TempFolder folder = new();
        string path = folder.Write("data", text);
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Read(path, new TrainingDataOptions { SkipBroken = true }));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_OfLargeAndOddFiles_TakesTimeInProportion()
    {
        using TempFolder folder = new();
        string record = "{\"instruction\":\"a\",\"output\":\"b\"}";
        string path = folder.Write("data", new string('\n', 4_000_000) + record + new string('\n', 4_000_000) + record);
        TrainingSet set = Read(path, new TrainingDataOptions());
        Assert.Equal(2, set.Samples.Count);
        path = folder.Write("more", "[" + string.Join(",\n", Enumerable.Repeat(record, 3000)) + new string(' ', 1_000_000) + "]");
        Assert.Equal(3000, Read(path, new TrainingDataOptions()).Samples.Count);
        path = folder.Write("huge", "[\"" + new string('a', 17 << 20) + "\"," + record + "]");
        Assert.Throws<ModelFormatException>(() => TrainingData.FromAlpaca(path, Pico, new TrainingDataOptions { SkipBroken = true }));
    }

    [Fact]
    public void Load_WithAWrongOption_RefusesIt()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => TrainingData.FromText("x", Pico, new TrainingDataOptions { CutoffTokens = 1 }));
        Assert.Throws<FileNotFoundException>(() => TrainingData.FromText("no such file", Pico));
        using TempFolder folder = new();
        Assert.Throws<ModelFormatException>(() => TrainingData.FromText(folder.Write("data", [0xC0, 0x80]), Pico));
        Assert.Throws<OperationCanceledException>(() => TrainingData.FromAlpaca(folder.Write("a", "[{}]"), Pico, null, new CancellationToken(canceled: true)));
    }

    private static string Answers(TrainingSample sample)
    {
        System.Text.StringBuilder text = new();
        foreach (IEnumerable<int> run in Runs(sample))
        {
            text.Append(Pico.Decode(run).Trim());
        }

        return text.ToString();
    }

    // Targets that stand side by side.
    private static IEnumerable<List<int>> Runs(TrainingSample sample)
    {
        List<int> run = [];
        for (int i = 0; i < sample.Ids.Count; i++)
        {
            if (sample.Targets[i])
            {
                run.Add(sample.Ids[i]);
            }
            else if (run.Count > 0)
            {
                yield return run;
                run = [];
            }
        }

        yield return run;
    }

    private static TrainingSet Read(string path, TrainingDataOptions options)
    {
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, new LoadOptions { Threads = 1 });
        return TrainingData.Load(path, model, options);
    }
}
