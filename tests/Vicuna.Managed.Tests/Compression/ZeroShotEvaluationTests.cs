using System.Text;
using System.Text.Json;
using Vicuna.Managed.Compression;
using Vicuna.Managed.Compression.Evaluation;
using Vicuna.Managed.Tests.Support;
using Vicuna.Managed.Tokenization;

namespace Vicuna.Managed.Tests.Compression;

/// <summary>Scores against whole passes without sharing, against an oracle in f64, and against answers that a model knows.</summary>
public sealed class ZeroShotEvaluationTests
{
    private static readonly TinyShape Shape = new() { Vocab = 1024, Context = 48, HasTokenizer = true, KeyValueHeads = 2 };
    private static readonly LoadOptions Exact = new() { Threads = 2, KeyValueType = KeyValueType.F32 };

    [Fact]
    public void LogProbabilities_AreThoseOfTheOracle()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load(Exact);
        ZeroShotTask task = MixedTask();
        ZeroShotResult result = ZeroShotEvaluation.Run(model, task);
        ReferenceDecoder oracle = new(tiny);
        Assert.Equal(task.Items.Count, result.Items);
        foreach ((ZeroShotItem item, ZeroShotScore score) in task.Items.Zip(result.Scores))
        {
            double[] expected = [.. item.Choices.Select(choice => PlainScore(model.Tokenizer, choice, model.ContextLength, oracle.Logits))];
            Assert.All(expected.Zip(score.LogProbabilities), pair => Assert.Equal(pair.First, pair.Second, 1e-3));
            Assert.Equal(expected.Index().MaxBy(pair => pair.Item).Index, score.Choice);
            Assert.Equal(expected.Zip(item.Choices, (sum, choice) => sum / choice.Characters).Index().MaxBy(pair => pair.Item).Index, score.ChoiceNormalized);
            Assert.Equal(item.Answer, score.Answer);
        }

        Assert.Equal(1, result.CutItems);
        Assert.Equal(result.Scores.Count(score => score.Choice == score.Answer) / (double)result.Items, result.Accuracy);
        Assert.Equal(result.Scores.Count(score => score.ChoiceNormalized == score.Answer) / (double)result.Items, result.AccuracyNormalized);
    }

    [Fact]
    public void LogProbabilities_OfStories260k_AreThoseOfWholePasses()
    {
        using LanguageModel model = LanguageModel.Load(SharedFolder.Require("models/stories260k"), Exact);
        ZeroShotTask task = MixedTask();
        ZeroShotResult result = ZeroShotEvaluation.Run(model, task);
        foreach ((ZeroShotItem item, ZeroShotScore score) in task.Items.Zip(result.Scores))
        {
            Assert.Equal(item.Choices.Select(choice => PlainScore(model.Tokenizer, choice, model.ContextLength, ids => Logits(model, ids))), score.LogProbabilities);
        }

        Assert.Equal(0, result.CutItems);
    }

    // Groups of many items, groups of one, passes of three tokens, one thread or three, another order: the same bits.
    [Fact]
    public void Results_DependNeitherOnBatchesNorOnThreads()
    {
        TinyModel tiny = new(Shape);
        ZeroShotTask task = MixedTask();
        double[][] expected = Scores(Exact, task);
        Assert.Equal(expected, Scores(Exact with { Threads = 1, PrefillThreads = 3 }, task));
        Assert.Equal(expected, Scores(Exact with { PrefillChunkTokens = 3 }, task));
        Assert.Equal(expected, task.Items.SelectMany(item => Scores(Exact, new ZeroShotTask("one", task.Kind, [item]))));
        ZeroShotTask reversed = new("reversed", task.Kind, [.. task.Items.Reverse()]);
        Assert.Equal(expected.Reverse(), Scores(Exact, reversed));

        double[][] Scores(LoadOptions options, ZeroShotTask scored)
        {
            using LanguageModel model = tiny.Load(options);
            return [.. ZeroShotEvaluation.Run(model, scored).Scores.Select(score => score.LogProbabilities.ToArray())];
        }
    }

    [Fact]
    public void Context_IsRunOnceForAllChoices()
    {
        using LanguageModel model = new TinyModel(Shape).Load(Exact);
        ZeroShotItem item = Item("The sky over the hills is", 0, "blue", "red", "green");
        ChoiceRequest[] requests = [.. item.Choices.Select(choice => ChoiceRequest.Encode(model.Tokenizer, choice.Context, choice.Continuation, 48)!)];
        int context = model.Tokenizer.Encode(item.Choices[0].Context, addBos: true).Count;
        using ScoredItem scored = new(requests, model.Decoder.CacheShape);
        Assert.Equal(context + requests.Sum(request => request.Ids.Length - context - 1), scored.Tokens);
    }

    [Fact]
    public void Encoding_SplitsAtTheContextsOwnLength()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(Path.Combine(PicoVicuna.Folder, "tokenizer.model"));
        int[] whole = [.. tokenizer.Encode("The sky is blue.", addBos: true)];
        int context = tokenizer.Encode("The sky is", addBos: true).Count;
        foreach ((string before, string after) in new[] { ("The sky is", " blue."), ("The sky is ", "blue.") })
        {
            ChoiceRequest request = ChoiceRequest.Encode(tokenizer, before, after, 100)!;
            Assert.Equal(whole, request.Ids);
            Assert.Equal((context, false), (request.First, request.IsCut));
        }

        // Without a context the beginning-of-sequence id is what the first token is predicted from.
        ChoiceRequest alone = ChoiceRequest.Encode(tokenizer, string.Empty, "The sky", 100)!;
        Assert.Equal((tokenizer.BosId!.Value, 1), (alone.Ids[0], alone.First));
        Assert.Equal(tokenizer.Encode("The sky", addBos: true), alone.Ids);
        Assert.Null(ChoiceRequest.Encode(tokenizer, string.Empty, string.Empty, 100));

        // Nothing after the context: its last token.
        ChoiceRequest melted = ChoiceRequest.Encode(tokenizer, "The sky is", string.Empty, 100)!;
        Assert.Equal((context, context - 1), (melted.Ids.Length, melted.First));
    }

    [Fact]
    public void Encoding_OfTooLongAContext_CutsItFromTheLeft()
    {
        SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(Path.Combine(PicoVicuna.Folder, "tokenizer.model"));
        int[] whole = [.. tokenizer.Encode("The sky is blue and so is the sea.", addBos: true)];
        int choice = whole.Length - tokenizer.Encode("The sky is blue and so is", addBos: true).Count;
        ChoiceRequest Encode(int length) => ChoiceRequest.Encode(tokenizer, "The sky is blue and so is", " the sea.", length)!;
        Assert.False(Encode(whole.Length - 1).IsCut);
        // The last token is never read: one more than the context fits.
        ChoiceRequest cut = Encode(whole.Length - 3);
        Assert.True(cut.IsCut);
        Assert.Equal(whole[2..], cut.Ids);
        Assert.Equal(cut.Ids.Length - choice, cut.First);
        Assert.Equal(1, Encode(choice).First);
        Assert.Throws<ContextLengthExceededException>(() => Encode(choice - 1));
    }

    [Fact]
    public void Ties_GoToTheFirst()
    {
        using LanguageModel model = new TinyModel(Shape).Load(Exact);
        ZeroShotResult result = ZeroShotEvaluation.Run(model, Task(Item("a", 0, "same", "same"), Item("a", 1, "same", "same")));
        Assert.All(result.Scores, score => Assert.Equal((0, 0), (score.Choice, score.ChoiceNormalized)));
        Assert.Equal((0.5, 0.5), (result.Accuracy, result.AccuracyNormalized));
        Assert.Equal(Math.Sqrt(0.25 / 1), result.AccuracyStandardError);
        Assert.Equal(0, ZeroShotEvaluation.Run(model, Task(Item("a", 0, "same", "same"))).AccuracyStandardError);
    }

    [Fact]
    public void Normalized_DividesByCharacters_AndAChoiceOfNoneIsNeverChosen()
    {
        using LanguageModel model = new TinyModel(Shape).Load(Exact);
        ZeroShotChoice[] choices = [new("The sky is", " blue", 1), new("The sky is", " made of seven red cats", 100_000), new("The sky is", " ", 0)];
        ZeroShotScore score = ZeroShotEvaluation.Run(model, Task(new ZeroShotItem(choices, 1))).Scores[0];
        Assert.NotEqual(1, score.Choice);
        Assert.Equal(1, score.ChoiceNormalized);
    }

    [Fact]
    public void Progress_HearsEveryItem_AndCancellationStops()
    {
        using LanguageModel model = new TinyModel(Shape).Load(Exact with { PrefillChunkTokens = 16 });
        ZeroShotTask task = MixedTask();
        List<int> heard = [];
        ZeroShotEvaluation.Run(model, task, new Listener(heard.Add));
        Assert.Equal(heard.Order().Distinct(), heard);
        Assert.Equal(task.Items.Count, heard[^1]);
        Assert.True(heard.Count > 2, $"{heard.Count} reports");

        using CancellationTokenSource source = new();
        heard.Clear();
        Assert.Throws<OperationCanceledException>(() => ZeroShotEvaluation.Run(model, task, new Listener(done =>
        {
            heard.Add(done);
            source.Cancel();
        }), source.Token));
        Assert.Single(heard);
    }

    [Fact]
    public void BadInput_IsRefused()
    {
        TinyModel tiny = new(Shape);
        using LanguageModel model = tiny.Load(Exact);
        ZeroShotTask empty = Task(new ZeroShotItem([new(string.Empty, string.Empty, 0), new(string.Empty, "a", 1)], 0));
        Assert.Contains("'item 0'", Assert.Throws<ModelFormatException>(() => ZeroShotEvaluation.Run(model, empty)).Message, StringComparison.Ordinal);
        Assert.Throws<ContextLengthExceededException>(() => ZeroShotEvaluation.Run(model, Task(Item("a", 0, "b", string.Concat(Enumerable.Repeat("seven cats ", 40))))));
        Assert.Throws<ArgumentException>(() => new ZeroShotTask("t", ZeroShotTaskKind.Arc, MixedTask().Items));
        Assert.Throws<ArgumentException>(() => new ZeroShotTask("t", ZeroShotTaskKind.Piqa, []));
        Assert.Throws<ArgumentException>(() => new ZeroShotItem([new("a", "b", 1)], 0));
        Assert.Throws<ArgumentException>(() => new ZeroShotItem([new("a", "b", 1), new("a", "c", 1)], 2));
        using LanguageModel without = new TinyModel(Shape with { HasTokenizer = false }).Load(Exact);
        Assert.Throws<ModelFormatException>(() => ZeroShotEvaluation.Run(without, MixedTask()));
        tiny.Tensors["model.norm.weight"].Values[3] = float.NaN;
        using LanguageModel damaged = tiny.Load(Exact);
        Assert.Throws<NonFiniteLogitsException>(() => ZeroShotEvaluation.Run(damaged, MixedTask()));
    }

    // What the embedded model was taught, as a file of questions: one right answer beside three that are said the same way.
    [Fact]
    public void PicoVicuna_KnowsSums()
    {
        string[] words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"];
        using JsonDocument golden = PicoVicuna.Golden();
        string system = golden.RootElement.GetProperty("system").GetString()!;
        StringBuilder lines = new();
        for (int a = 1; a <= 7; a++)
        {
            for (int b = 0; b <= 6; b++)
            {
                int place = (a + (3 * b)) % 4;
                string[] choices = [.. Enumerable.Range(0, 4).Select(i => (a + b + i - place + words.Length) % words.Length)
                    .Select(sum => $"{char.ToUpperInvariant(words[a][0])}{words[a][1..]} plus {words[b]} is {words[sum]}.")];
                lines.Append(JsonSerializer.Serialize(new Dictionary<string, object> // A test is not compiled ahead of time.
                {
                    ["context"] = $"{system} USER: What is {a} plus {b}? ASSISTANT:", ["choices"] = choices, ["answer"] = place,
                })).Append('\n');
            }
        }

        ZeroShotTask task = ZeroShotTask.Parse(Encoding.UTF8.GetBytes(lines.ToString()), "sums.jsonl");
        using LanguageModel model = LanguageModel.Load(PicoVicuna.Folder, Exact);
        ZeroShotResult result = ZeroShotEvaluation.Run(model, task);
        Assert.Equal(49, result.Items);
        Assert.InRange(result.Accuracy, 0.8, 1);
        Assert.InRange(result.AccuracyNormalized, 0.8, 1);
    }

    private static ZeroShotTask Task(params ZeroShotItem[] items) => new("task", ZeroShotTaskKind.MultipleChoice, items);

    private static ZeroShotItem Item(string context, int answer, params string[] choices) =>
        new([.. choices.Select(choice => new ZeroShotChoice(context, " " + choice, choice.Length))], answer);

    // Choices of one token and of many, that begin alike, contexts that differ, that are missing, that are too long for the small model.
    private static ZeroShotTask MixedTask() => Task(
        Item("The sky is", 0, "blue", "red", "a very big cat that runs"),
        Item("What is 3 plus 4?\nAnswer:", 1, "seven of them", "seven of us", "seven"),
        new ZeroShotItem([new("Tom saw Sue because Tom", " was late.", 9), new("Tom saw Sue because Sue", " was late.", 9)], 1),
        new ZeroShotItem([new(string.Empty, "Once upon a time", 16), new(string.Empty, "Time a upon once", 16)], 0),
        new ZeroShotItem([new("He said: ", "yes", 3), new("He said: ", "no", 2)], 0),
        Item("One day a little girl went to the park with her mother and her big red dog and there she saw a boy who had lost his ball in the water and could not find it under the old wooden bridge", 2, "and cried", "so", "happy"),
        Item("A", 0, "b", "c"));

    private static double PlainScore(SentencePieceTokenizer tokenizer, ZeroShotChoice choice, int contextLength, Func<int[], double[][]> logits)
    {
        string context = choice.Context.TrimEnd();
        int[] before = [.. tokenizer.Encode(context, addBos: true)];
        int[] ids = [.. before, .. tokenizer.Encode(choice.Context + choice.Continuation, addBos: true).Skip(before.Length)];
        int count = ids.Length - before.Length;
        ids = ids[Math.Max(0, ids.Length - contextLength - 1)..];
        double[][] rows = logits(ids[..^1]);
        double sum = 0;
        for (int position = ids.Length - count; position < ids.Length; position++)
        {
            double[] row = rows[position - 1];
            double maximum = row.Max();
            double total = 0;
            foreach (double logit in row)
            {
                total += Math.Exp(logit - maximum);
            }

            sum += row[ids[position]] - (Math.Log(total) + maximum);
        }

        return sum;
    }

    private static double[][] Logits(LanguageModel model, int[] ids)
    {
        List<double[]> rows = [];
        using Generator generator = model.CreateGenerator();
        generator.AppendObserved(ids, (_, logits) => rows.Add([.. logits.ToArray().Select(logit => (double)logit)]));
        return [.. rows];
    }

    private sealed class Listener(Action<int> hear) : IProgress<int>
    {
        public void Report(int value) => hear(value);
    }
}
